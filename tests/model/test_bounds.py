"""How much of what a pod's owner writes is kept."""

from __future__ import annotations

import tracemalloc

from koordnri.model.bounds import MOST_CHARACTERS, bounded_annotations, bounded_labels
from koordnri.session.translate import pod_from
from koordnri.wire import views_pb2 as views
from tests.session.one_node import PINNED, Node

HUGE = "a" * 255_000 + "\N{GRINNING FACE}"


def test_usual_annotations_and_labels_stay_the_same_object() -> None:
    usual = {"a": "x" * MOST_CHARACTERS, "b": ""}
    assert bounded_annotations(usual) is usual
    assert bounded_labels(usual) is usual


def test_the_longest_annotations_are_empty_and_none_is_missing() -> None:
    found = bounded_annotations({"long": "x" * MOST_CHARACTERS, "short": "y", "middle": "z" * 1000})
    assert found == {"long": "", "short": "y", "middle": "z" * 1000}
    assert list(found) == ["long", "short", "middle"]


def test_the_labels_with_the_longest_keys_are_left_out() -> None:
    many = {f"{n:0300}/x": "y" for n in range(1000)}
    found = bounded_labels({**many, "koordinator.sh/qosClass": "BE"})
    assert found["koordinator.sh/qosClass"] == "BE"
    assert sum(map(len, found)) <= MOST_CHARACTERS


def test_a_pod_takes_little_memory_however_long_its_annotations_are() -> None:
    payload = views.PodSandbox(id="p", uid="u", annotations={"a/b": HUGE, "c": "d"}).SerializeToString()
    tracemalloc.start()
    try:
        pods = [pod_from(views.PodSandbox.FromString(payload)) for _ in range(10)]
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pods[0].annotations == {"a/b": "", "c": "d"}
    assert kept_bytes < 10 * 20_000


def test_such_a_pod_is_decided_as_any_other_and_parsed_once() -> None:
    node = Node()
    adjust = node.create(node.pod(annotations={**PINNED, "a/b": HUGE}))
    assert adjust.linux.resources.cpu.cpus == "2-3"
    first = node.ledger.pod("p1")
    node.create("p1", "c2")
    assert node.ledger.pod("p1") is first
