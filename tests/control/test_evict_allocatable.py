"""Eviction of pods that request more of mid and batch resources than the Node offers."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.evict_allocatable import cpu_allocatable_needs, memory_allocatable_needs
from koordnri.control.evict_cpu import CPUEviction
from koordnri.control.signals import PodSignals, Signals
from koordnri.control.victims import Feature, choose
from koordnri.model import NodeState
from koordnri.model.control import Control, Wanted
from koordnri.model.pod import SOURCE_KEY, PodSpec
from koordnri.model.priority import CLASS_LABEL
from tests.control.evicted_node import ENABLED, GIB, evicting, node, running

CPU = {
    "cpuAllocatableEvictThresholdPercent": 80,
    "cpuAllocatableEvictLowerPercent": 70,
    "allocatableEvictPriorityThreshold": 7999,
}
MEMORY = {
    "memoryAllocatableEvictThresholdPercent": 80,
    "memoryAllocatableEvictLowerPercent": 70,
    "allocatableEvictPriorityThreshold": 7999,
}


def mid(name: str, cpu: int = 0, memory: float = 0.0, labels: Any = ENABLED, **more: Any) -> PodSignals:
    return running(name, "LS", **{"priority": 7500, "class_cpu": cpu, "class_memory": memory, "labels": labels, **more})


def batch(name: str, cpu: int = 0, memory: float = 0.0, labels: Any = ENABLED, **more: Any) -> PodSignals:
    return running(name, "BE", **{"priority": 5500, "class_cpu": cpu, "class_memory": memory, "labels": labels, **more})


PODS = (
    batch("b-1", 6_000, 6),
    batch("b-2", 2_000, 2, labels={}),
    mid("m-1", 5_000, 5),
    mid("m-2", 1_000, 1, labels={}),
    running("prod", "LS", priority=9500, cpu_request=50_000, memory_request=50, labels=ENABLED),
    running("free", "BE", priority=3500, cpu_request=50_000, memory_request=50, labels=ENABLED),
)
"""Batch pods request 8 CPUs and 8 GiB, mid pods 6 CPUs and 6 GiB."""


def evicted(signals: Signals, most: int = 100, standing: Any = None, /, **more: Any) -> list[str]:
    needs = cpu_allocatable_needs(signals, evicting(**{**CPU, **more}))
    return [one.pod.name for one in choose(needs, signals.pods, standing or {}, most)]


@pytest.mark.parametrize(
    ("of_batch", "of_mid", "expected", "candidates"),
    [
        pytest.param(10, 7.5, {}, [], id="both at the threshold"),
        # 8 - 0.7 * 9 = 1.7
        pytest.param(9, 7.5, {"batch": 1.7}, ["b-1"], id="too much of batch"),
        # 6 - 0.7 * 7 = 1.1
        pytest.param(10, 7, {"mid": 1.1}, ["m-1"], id="too much of mid"),
        pytest.param(9, 7, {"batch": 1.7, "mid": 1.1}, ["b-1", "m-1"], id="too much of both"),
        pytest.param(0, 7.5, {"batch": 8}, ["b-1"], id="the node offers 0 of batch now"),
        pytest.param(10, 0, {"mid": 6}, ["m-1"], id="the node offers 0 of mid now"),
        pytest.param(0, None, {"batch": 8}, ["b-1"], id="the Node has no mid resources"),
        pytest.param(None, 0, {"mid": 6}, ["m-1"], id="the Node has no batch resources"),
        pytest.param(None, None, {}, [], id="the Node has neither"),
        pytest.param(1000, None, {}, [], id="requests of mid do not count against batch"),
    ],
)
def test_each_resource_is_compared_with_what_the_node_offers_of_it(
    of_batch: float | None, of_mid: float | None, expected: dict[str, float], candidates: list[str]
) -> None:
    def milli(cpus: float | None) -> int | None:
        return None if cpus is None else int(cpus * 1000)

    signals = node(*PODS, allocatable_milli=milli(of_batch), mid_milli=milli(of_mid), allocatable=of_batch, mid=of_mid)
    of_cpu, of_memory = (
        cpu_allocatable_needs(signals, evicting(**CPU)),
        memory_allocatable_needs(signals, evicting(**MEMORY)),
    )
    assert {one.target: one.release for one in of_cpu} == {
        f"{kind}-cpu requested": pytest.approx(cpus * 1000) for kind, cpus in expected.items()
    }
    assert {one.target: one.release for one in of_memory} == {
        f"{kind}-memory requested": pytest.approx(gib * GIB) for kind, gib in expected.items()
    }
    assert {one.feature for one in of_cpu} <= {Feature.CPU_ALLOCATABLE}
    assert {one.feature for one in of_memory} <= {Feature.MEMORY_ALLOCATABLE}
    for one in (*of_cpu, *of_memory):
        assert [pod.pod.name for pod in one.candidates] == candidates


@pytest.mark.parametrize("missing", CPU)
def test_cpu_without_one_of_its_keys_evicts_nobody(missing: str) -> None:
    signals = node(*PODS, allocatable_milli=0, mid_milli=0)
    assert len(cpu_allocatable_needs(signals, evicting(**CPU))) == 2
    assert cpu_allocatable_needs(signals, evicting(**{key: at for key, at in CPU.items() if key != missing})) == []


@pytest.mark.parametrize("missing", MEMORY)
def test_memory_without_one_of_its_keys_evicts_nobody(missing: str) -> None:
    signals = node(*PODS, allocatable=0, mid=0)
    assert len(memory_allocatable_needs(signals, evicting(**MEMORY))) == 2
    assert (
        memory_allocatable_needs(signals, evicting(**{key: at for key, at in MEMORY.items() if key != missing})) == []
    )


@pytest.mark.parametrize(
    "spared",
    [
        pytest.param(mid("spared", 5_000, labels={}), id="without the label"),
        pytest.param(mid("spared", 0, cpu_request=5_000), id="it requests no mid-cpu"),
        pytest.param(mid("spared", 5_000, priority=7900), id="above allocatableEvictPriorityThreshold"),
        pytest.param(mid("spared", 5_000, annotations={SOURCE_KEY: "file"}), id="static"),
        pytest.param(mid("spared", 5_000, spec=PodSpec({}, of_daemon_set=True)), id="of a DaemonSet"),
        pytest.param(
            mid("spared", 5_000, annotations={"koordinator.sh/eviction-policy": '["CPUEvict"]'}),
            id="its annotation allows other features only",
        ),
        pytest.param(mid("spared", 5_000, labels={**ENABLED, CLASS_LABEL: "koord-prod"}), id="prod by its label"),
        pytest.param(batch("spared", 5_000), id="batch: enough batch-cpu is there"),
        pytest.param(running("spared", "LS", priority=9500, cpu_request=5_000, labels=ENABLED), id="prod"),
    ],
)
def test_who_is_not_evicted_where_mid_cpu_is_short(spared: PodSignals) -> None:
    """Without mid-cpu on offer, all that may be evicted would be."""
    signals = node(spared, mid("gone", 100), allocatable_milli=100_000, mid_milli=0)
    assert evicted(signals, allocatableEvictPriorityThreshold=7500) == ["gone"]


def test_a_pod_above_the_priority_threshold_does_not_count_as_requesting() -> None:
    pods = mid("low", 1_000, priority=7000), mid("high", 9_000, priority=7001)
    signals = node(*pods, mid_milli=2_000)
    assert evicted(signals) == ["low", "high"]
    assert evicted(signals, allocatableEvictPriorityThreshold=7000) == []


def test_mid_pods_are_spared_by_a_policy_that_names_batch_priorities_only() -> None:
    signals = node(batch("b", 1_000), mid("m", 1_000), allocatable_milli=0, mid_milli=0)
    assert evicted(signals, allocatableEvictPriorityThreshold=5999) == ["b"]


def test_both_are_counted_off_separately_and_no_pod_more_than_needed_goes() -> None:
    """Of batch 3000 - 0.7 * 2000 = 1600 are to be released, of mid 1500 - 0.7 * 1200 = 660."""
    pods = [batch(f"b-{number}", 1_000) for number in range(3)] + [mid(f"m-{number}", 500) for number in range(3)]
    signals = node(*pods, allocatable_milli=2_000, mid_milli=1_200)
    assert evicted(signals) == ["b-0", "b-1", "m-0", "m-1"]
    assert evicted(signals, 100, {"uid-b-2": "leaving"}) == ["b-0", "m-0", "m-1"]
    assert evicted(signals, 100, {"uid-m-2": "leaving"}) == ["b-0", "b-1", "m-0"]


def test_both_share_one_order() -> None:
    first = mid("m-first", 500, annotations={"koordinator.sh/eviction-priority": "-1"})
    pods = [mid("m-last", 500), batch("b", 1_000), first]
    signals = node(*pods, allocatable_milli=0, mid_milli=0)
    assert evicted(signals) == ["m-first", "b", "m-last"]
    assert evicted(signals, 1) == ["m-first"]


def test_the_reason_names_the_resource_of_the_pod_itself() -> None:
    signals = node(batch("b", 8_000), mid("m", 6_000), allocatable_milli=9_000, mid_milli=7_000)
    victims = choose(cpu_allocatable_needs(signals, evicting(**CPU)), signals.pods, {}, 100)
    assert {one.pod.name: one.reason for one in victims} == {
        "b": "koord-batch pods request 8.0 CPUs of batch-cpu, more than cpuAllocatableEvictThresholdPercent 80 of the 9.0 CPUs that the "
        "node offers: requests of 1.7 CPUs are to be released",
        "m": "koord-mid pods request 6.0 CPUs of mid-cpu, more than cpuAllocatableEvictThresholdPercent 80 of the 7.0 CPUs that the "
        "node offers: requests of 1.1 CPUs are to be released",
    }


def test_what_a_leaving_pod_of_another_class_requests_releases_nothing_here() -> None:
    leaving = PodSpec({}, leaving=True)
    prod = running("prod", "LS", priority=9500, cpu_request=50_000, spec=leaving)
    assert evicted(node(prod, batch("b", 1_000), allocatable_milli=500)) == ["b"]
    assert evicted(node(batch("gone", 1_000, spec=leaving), batch("b", 1_000), allocatable_milli=2_000)) == []


def test_be_pods_that_go_for_their_satisfaction_count_for_batch_cpu_and_not_for_mid_cpu() -> None:
    """BE may use 1 CPU of the 8 that it requests: 40 % - 12.5 % of 8000 are 2200. Beyond what is allocatable are 1700."""
    pods = (
        batch("b-1", 4_000, cpu_request=4_000, used=1.0),
        batch("b-2", 4_000, cpu_request=4_000),
        mid("m-1", 5_000),
        mid("m-2", 1_000),
    )
    policy = evicting(
        **CPU,
        cpuEvictBESatisfactionLowerPercent=30,
        cpuEvictBESatisfactionUpperPercent=40,
        cpuEvictBEUsageThresholdPercent=50,
    )
    signals = node(*pods, allocatable_milli=9_000, mid_milli=7_000)
    control = Control(be_quota_us=Wanted(100_000, "suppressed"))
    needs = CPUEviction().needs(signals, policy, control, NodeState())
    victims = [(one.pod.name, one.feature) for one in choose(needs, signals.pods, {}, 100)]
    assert victims == [("b-1", Feature.BE_CPU), ("m-1", Feature.CPU_ALLOCATABLE)]
