"""GET /v1/shares: cache groups and memory by class."""

from __future__ import annotations

from typing import Any

from koordnri.answers.shares import list_shares
from koordnri.model import Decision, NodeState, Resources
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from tests.host.fake_resctrl import FakeResctrl
from tests.resctrl.resctrl_node import ResctrlNode, asks, classes
from tests.support.pods import pod

MIB = 1 << 20
NODE = NodeState(memory_bytes=1024 * MIB)


def without_resctrl() -> ResctrlGroups:
    return ResctrlGroups(FakeResctrl().tree)


def ledger(*containers: tuple[str, str, dict[str, Any]]) -> Ledger:
    """Running containers: QoS class, id, values of their files; kubelet asked for a limit of 64 MiB."""
    book = Ledger()
    for qos, name, files in containers:
        book.remember_pod(pod(qos, name=name))
        entry = Entry(name, "main", name, Resources(memory_limit=64 * MIB))
        entry.files.update(files)
        book.remember(entry, Decision())
    return book


def test_memory_is_summed_by_class() -> None:
    book = ledger(
        ("LS", "a", {"memory.min": 8 * MIB, "memory.low": 16 * MIB}),
        ("LS", "b", {"memory.min": 4 * MIB, "memory.limit": -1}),
        ("BE", "c", {"memory.limit": 32 * MIB}),
    )
    memory = list_shares(book, NODE, without_resctrl())["memory"]
    be = {"class": "BE", "containers": 1, "minBytes": 0, "lowBytes": 0, "limitBytes": 32 * MIB, "unlimited": 0}
    ls = {"class": "LS", "containers": 2, "minBytes": 12 * MIB, "lowBytes": 16 * MIB, "limitBytes": 64 * MIB}
    assert memory == {"totalBytes": 1024 * MIB, "classes": [be, {**ls, "unlimited": 1}]}


def test_a_container_that_has_ended_and_one_of_an_unknown_pod_count_for_nothing() -> None:
    book = ledger(("LS", "a", {}))
    book.ended("a")
    book.remember(Entry("x", "main", "gone", Resources(memory_limit=MIB)), Decision())
    assert list_shares(book, NODE, without_resctrl())["memory"]["classes"] == []


def test_without_resctrl_no_cache_is_divided() -> None:
    cache = list_shares(Ledger(), NODE, without_resctrl())["cache"]
    assert cache == {"offered": False, "problem": "", "groups": [], "use": []}


def test_groups_of_classes_and_pods_have_their_schemata() -> None:
    node = ResctrlNode()
    node.set_policy(**classes(be={"catRangeEndPercent": 50}))
    node.pod("p", "LS", asks([0, 25]))
    node.run_pass()
    node.groups.stats.occupancy_bytes = {("LS", 0): 4096}
    cache = list_shares(Ledger(), node.node, node.groups)["cache"]
    assert cache["offered"]
    assert [(one["group"], one["class"], one["pod"]) for one in cache["groups"]] == [
        ("BE", "BE", ""),
        ("koordlet-uid-p", "LS", "shop/p"),
    ]
    assert all(one["schemata"][0].startswith("L3:0=") and not one["refused"] for one in cache["groups"])
    assert cache["use"] == [{"class": "LS", "cache": 0, "bytes": 4096}]
