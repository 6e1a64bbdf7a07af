from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.control.signals import PodSignals
from koordnri.control.victims import Feature, Need, best_effort, by_priority, choose, may_be_evicted
from koordnri.model.pod import SOURCE_KEY, PodSpec
from tests.control.evicted_node import ENABLED, GIB, NO_SPEC, evicting, running

POLICY = evicting(None, ("left-alone",))
POLICY_KEY = "koordinator.sh/eviction-policy"
PRIORITY_KEY = "koordinator.sh/eviction-priority"


def used_bytes(pod: PodSignals) -> float:
    return float(pod.load.memory_bytes or 0)


def names(pods: Any) -> list[str]:
    return [one.pod.name for one in pods]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(running("a", spec=NO_SPEC), id="its spec is not known"),
        pytest.param(running("a", priority=None), id="its priority is not known"),
        pytest.param(running("a", priority=2_000_000_000), id="system-cluster-critical"),
        pytest.param(running("a", priority=2_000_001_000), id="system-node-critical"),
        pytest.param(running("a", annotations={SOURCE_KEY: "file"}), id="static"),
        pytest.param(running("a", spec=PodSpec({}, of_daemon_set=True)), id="of a DaemonSet"),
        pytest.param(running("a", "SYSTEM", labels=ENABLED), id="SYSTEM"),
    ],
)
def test_a_pod_that_is_not_known_or_not_to_be_missed_is_never_evicted(pod: PodSignals) -> None:
    assert not any(may_be_evicted(pod, POLICY, feature) for feature in Feature)


def test_a_pod_of_a_namespace_left_alone_is_never_evicted() -> None:
    pod = running("a")
    assert may_be_evicted(pod, POLICY, Feature.BE_MEMORY)
    assert not may_be_evicted(pod, evicting(None, ("shop",)), Feature.BE_MEMORY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, True),
        ('["BEMemoryEvict"]', True),
        ('["BECPUEvict", "BEMemoryEvict"]', True),
        ('["BECPUEvict"]', False),
        ("[]", False),
        ("", False),
        ("not json", False),
    ],
)
def test_the_annotation_eviction_policy_lists_the_features_that_may_evict(text: str | None, expected: bool) -> None:
    pod = running("a", annotations={} if text is None else {POLICY_KEY: text})
    assert may_be_evicted(pod, POLICY, Feature.BE_MEMORY) is expected


def test_be_pods_go_by_priority_and_then_by_what_they_use() -> None:
    """koordlet's own example, Test_getBEPodEvictInfoAndSort."""
    pods = [
        running("lsr", "LSR", memory=12),
        running("ls", "LS", memory=12),
        running("be-1-priority-100", memory=3, priority=100),
        running("be-2-priority-100", memory=4, priority=100),
        running("be-3-priority-10", memory=4, priority=10),
    ]
    order = best_effort(pods, POLICY, Feature.BE_MEMORY, used_bytes)
    assert names(order) == ["be-3-priority-10", "be-2-priority-100", "be-1-priority-100"]


def test_other_pods_go_by_eviction_priority_then_priority_then_sub_priority_then_use() -> None:
    def one(name: str, priority: int, sub: str = "0", eviction: str | None = None, memory: float = 1) -> PodSignals:
        annotations = {} if eviction is None else {PRIORITY_KEY: eviction}
        labels = {**ENABLED, "koordinator.sh/priority": sub}
        return running(name, "LS", priority=priority, memory=memory, annotations=annotations, labels=labels)

    pods = [
        one("fifth", 7000, "1", memory=9),
        one("fourth", 7000, "0", memory=2),
        one("third", 7000, "0", memory=3),
        one("second", 5000, eviction="not a number"),
        one("first", 7999, eviction="-1"),
        one("last", 3000, eviction="1"),
    ]
    order = by_priority(pods, POLICY, Feature.MEMORY, 7999, used_bytes)
    assert names(order) == ["first", "second", "third", "fourth", "fifth", "last"]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(running("a", "LS", labels=ENABLED, priority=7000), True, id="at the threshold"),
        pytest.param(running("a", "LS", labels=ENABLED, priority=7001), False, id="above it"),
        pytest.param(running("a", "LS", priority=5000), False, id="without the label"),
        pytest.param(
            running("a", "LS", priority=5000, labels={"koordinator.sh/eviction-enabled": "yes"}), False, id="not true"
        ),
        pytest.param(
            running("a", "LS", labels=ENABLED, priority=0), False, id="priority 0 of an LS pod counts as prod"
        ),
        pytest.param(running("a", "BE", labels=ENABLED, priority=0), True, id="priority 0 of a BE pod counts as batch"),
    ],
)
def test_others_than_be_pods_must_have_the_label_and_a_low_priority(pod: PodSignals, expected: bool) -> None:
    assert bool(by_priority([pod], POLICY, Feature.MEMORY, 7000, used_bytes)) is expected


def need(release: float, pods: list[PodSignals], feature: Feature = Feature.BE_MEMORY, target: str = "memory") -> Need:
    return Need(feature, target, release * GIB, "too full", used_bytes, pods)


def chosen(needs: list[Need], pods: list[PodSignals], standing: Any = None, most: int = 100) -> list[str]:
    return names(choose(needs, {one.pod.uid: one for one in pods}, standing or {}, most))


def test_no_more_pods_are_chosen_than_release_enough() -> None:
    pods = [running("a", memory=2), running("b", memory=2), running("c", memory=2)]
    assert chosen([need(3, pods)], pods) == ["a", "b"]
    assert chosen([need(4, pods)], pods) == ["a", "b"]
    assert chosen([need(3, pods)], pods, most=1) == ["a"]


def test_pods_that_are_leaving_count_and_are_not_chosen_again() -> None:
    pods = [running("a", memory=2), running("b", memory=2), running("c", memory=2)]
    assert chosen([need(3, pods)], pods, {"uid-b": "leaving"}) == ["a"]
    assert chosen([need(2, pods)], pods, {"uid-b": "leaving"}) == []
    # One that is gone no longer counts.
    assert chosen([need(2, pods)], pods, {"uid-gone": "leaving"}) == ["a"]


def test_a_pod_that_somebody_else_has_deleted_counts_too() -> None:
    pods = [running("a", memory=2, spec=PodSpec({}, leaving=True)), running("b", memory=2), running("c", memory=2)]
    assert chosen([need(3, pods)], pods) == ["b"]
    assert chosen([need(2, pods)], pods) == []


def test_a_pod_whose_eviction_was_refused_is_passed_over() -> None:
    pods = [running("a", memory=2), running("b", memory=2)]
    assert chosen([need(1, pods)], pods, {"uid-a": "spared"}) == ["b"]


def test_what_one_feature_releases_serves_the_next_one_with_the_same_target() -> None:
    batch, service = running("batch", memory=3), running("service", "LS", memory=3, labels=ENABLED)
    pods = [batch, service]
    both = [need(3, [batch]), need(3, [service], Feature.MEMORY)]
    assert chosen(both, pods) == ["batch"]
    other_target = [need(3, [batch]), need(3, [service], Feature.MEMORY, "something else")]
    # The batch pod's memory is no "something else" of its own, but evicting it releases both.
    assert chosen(other_target, pods) == ["batch"]


def test_a_pod_that_releases_nothing_is_not_evicted() -> None:
    pods = [running("unknown", memory=None), running("empty", memory=0), running("full", memory=1)]
    assert chosen([need(5, pods)], pods) == ["full"]


def test_needs_with_the_same_list_are_served_together_in_its_order() -> None:
    def of(*served: str) -> Any:
        return lambda pod: 1.0 if pod.pod.name in served else 0.0

    pods = [running(name) for name in "abcde"]
    first, second = of("b", "d", "e"), of("a", "c")
    needs = [
        Need(Feature.BE_MEMORY, "first", 2, "first", first, pods),
        Need(Feature.BE_MEMORY, "second", 1, "second", second, pods),
    ]
    victims = choose(needs, {one.pod.uid: one for one in pods}, {}, 100)
    assert [(one.pod.name, one.reason) for one in victims] == [("a", "second"), ("b", "first"), ("d", "first")]


PODS = st.lists(
    st.builds(
        lambda number, qos, memory, priority, known, label, namespace: running(
            f"p{number}",
            qos,
            memory=memory,
            priority=priority,
            **({} if known else {"spec": None}),
            labels=ENABLED if label else {},
            annotations={SOURCE_KEY: "file"} if namespace == "static" else {},
        ),
        st.integers(0, 30),
        st.sampled_from(["BE", "LS", "LSR", "LSE", "SYSTEM", ""]),
        st.one_of(st.none(), st.integers(0, 4)),
        st.sampled_from([None, 0, 10, 5000, 9500, 2_000_000_000]),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["", "static"]),
    ),
    max_size=12,
    unique_by=lambda one: one.pod.uid,
)


@given(PODS, st.floats(0, 20), st.integers(0, 5), st.data())
def test_whoever_is_chosen_may_be_evicted_and_the_order_of_the_pods_does_not_matter(
    pods: list[PodSignals], release: float, most: int, data: st.DataObject
) -> None:
    standing = {one.pod.uid: data.draw(st.sampled_from(["leaving", "spared"])) for one in pods[::3]}

    def choice(given_pods: list[PodSignals]) -> list[str]:
        needs = [
            need(release, best_effort(given_pods, POLICY, Feature.BE_MEMORY, used_bytes)),
            need(release, by_priority(given_pods, POLICY, Feature.MEMORY, 7999, used_bytes), Feature.MEMORY),
        ]
        return chosen(needs, given_pods, standing, most)

    victims = choice(pods)
    by_name = {one.pod.name: one for one in pods}
    assert len(victims) <= most
    assert len(set(victims)) == len(victims)
    for name in victims:
        one = by_name[name]
        assert one.pod.uid not in standing
        assert one.pod.spec is not None
        assert one.priority is not None
        assert one.priority < 2_000_000_000
        assert not one.pod.is_static
        assert one.pod.qos.value == "BE" or one.pod.labels == {**one.pod.labels, **ENABLED}
    leaving = sum(used_bytes(one) for one in pods if standing.get(one.pod.uid) == "leaving")
    # Without the last one it would not have been enough.
    assert not victims or leaving + sum(used_bytes(by_name[name]) for name in victims[:-1]) < release * GIB
    assert choice(data.draw(st.permutations(pods))) == victims
