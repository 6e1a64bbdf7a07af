"""A container that exists already: who set its stored values, and its baseline."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import Resources
from koordnri.model.resources import BASELINE_KEY, Note, encode_note
from tests.session.one_node import ALL_OFF, FAST, PINNED, Node


def test_a_quota_is_never_scaled_twice():
    """Koordinator starts from the stored quota, which it has scaled before: half of half of half."""
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    for memory in (1 << 28, 1 << 29, 1 << 30):
        reply = node.update(memory=memory)
        assert reply is not None
        assert reply.cpu.quota.value == 50_000
    restarted = node.restarted(notes=node.ledger.notes(), node=FAST)
    assert restarted.synchronize() == {}
    assert restarted.containers["c1"].linux.resources.cpu.quota.value == 50_000


@given(st.lists(st.sampled_from([0, 20_000, 40_000, 100_000]), min_size=1, max_size=6), st.booleans())
def test_whatever_kubelet_asks_the_container_ends_as_if_created_so(quotas, restart):
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    last = 100_000
    for quota in quotas:
        node.update(quota=quota)
        last = quota or last
        if restart:
            node = node.restarted(notes=node.ledger.notes(), node=FAST)
            assert node.synchronize() == {}
    assert node.containers["c1"].linux.resources.cpu.quota.value == last // 2


def test_an_update_of_a_container_that_was_there_before_us_starts_from_what_is_stored():
    node = Node()
    node.preexisting(node.pod(annotations=PINNED), quota=60_000)
    reply = node.update(memory=1 << 30)
    assert reply is not None
    assert (reply.cpu.cpus, reply.cpu.quota.value) == ("2-3", -1)
    assert node.ledger.noted_baseline("c1") == Resources(512, 60_000, 100_000, memory_limit=1 << 30)


def test_a_baseline_in_the_pods_own_annotations_is_not_believed():
    """A runtime may pass annotations of a pod on to its containers; its owner must not set his own baseline."""
    forged = {BASELINE_KEY: encode_note(Note(Resources(cpu_quota=9_000_000), {"cpu.quota": 50_000}))}
    node = Node(ALL_OFF)
    node.preexisting(node.pod(annotations=forged)).annotations.update(forged)
    assert node.synchronize() == {}
    assert node.update(memory=1 << 30) is None
    assert node.containers["c1"].linux.resources.cpu.quota.value == 50_000


def from_the_api(annotations):
    """What makes the pod that the runtime reports one with these annotations, as the API server has them by now."""
    return lambda pod: replace(pod, annotations=annotations, reported=pod.reported)


def test_a_forged_baseline_is_not_believed_either_when_its_owner_has_taken_it_back():
    forged = {BASELINE_KEY: encode_note(Note(Resources(cpu_quota=9_000_000), {"cpu.quota": 50_000}))}
    node = Node(ALL_OFF, overlay=from_the_api({}))
    node.preexisting(node.pod(annotations=forged)).annotations.update(forged)
    assert node.synchronize() == {}
    assert node.containers["c1"].linux.resources.cpu.quota.value == 50_000


def test_an_annotation_that_its_owner_adds_later_does_not_hide_our_note():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    assert node.containers["c1"].linux.resources.cpu.quota.value == -1
    again = node.restarted(ALL_OFF, overlay=from_the_api({BASELINE_KEY: "x"}))
    assert again.synchronize()["c1"].cpu.quota.value == 50_000


def test_a_pod_that_forges_its_baseline_is_not_scaled_twice_either():
    forged = {BASELINE_KEY: encode_note(Note(Resources(cpu_quota=9_000_000)))}
    node = Node(node=FAST)
    node.create(node.pod(annotations=forged, qos="LS"), quota=100_000)
    for asked in ({"quota": 100_000}, {"quota": 100_000}, {"memory": 1 << 28}, {"memory": 1 << 29}):
        reply = node.update(**asked)
        assert reply is not None
        assert reply.cpu.quota.value == 50_000
