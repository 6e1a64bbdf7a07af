from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.evict_cpu import CPUEviction, release_by_satisfaction, uses_its_limit
from koordnri.control.signals import Signals
from koordnri.control.victims import Feature, Need
from koordnri.model import CPUSet, NodeState
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.policy import Policy
from koordnri.policy.threshold import ResourceThreshold
from tests.control.evicted_node import evicting, node, running

SATISFACTION = {"cpuEvictBESatisfactionLowerPercent": 30, "cpuEvictBESatisfactionUpperPercent": 40}


NOTHING_KNOWN = NodeState()


def thresholds(**more: int) -> ResourceThreshold:
    return evicting(**SATISFACTION, **more).threshold


@pytest.mark.parametrize(
    ("requested", "limit", "expected"),
    [
        pytest.param(0, 20_000, 0, id="nothing is requested"),
        pytest.param(40_000, 20_000, 0, id="satisfied"),
        pytest.param(50_000, 10_000, 10_000, id="a fifth"),
        pytest.param(50_000, 14_000, 6_000, id="a little more"),
        pytest.param(50_000, 13_000, 7_000, id="and less again"),
        pytest.param(50_000, 15_000, 5_000, id="just at the lower percent"),
    ],
)
def test_koordlets_examples_of_what_satisfaction_releases(requested: int, limit: int, expected: int) -> None:
    assert release_by_satisfaction(thresholds(), requested, limit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("used", "limit", "more", "expected"),
    [
        (20_000, 0, {}, False),
        (10_000, 20_000, {}, False),
        (19_000, 20_000, {}, True),
        (0, 999, {}, True),
        (9_000, 20_000, {"cpuEvictBEUsageThresholdPercent": 50}, False),
        (10_000, 20_000, {"cpuEvictBEUsageThresholdPercent": 50}, True),
    ],
)
def test_koordlets_examples_of_be_that_could_use_more(used: int, limit: int, more: Any, expected: bool) -> None:
    assert uses_its_limit(thresholds(**more), used, limit) is expected


def be_node(limit: int, used: float, requested: int = 50_000, **more: Any) -> tuple[Signals, Control]:
    """BE as koordlet's tests have it: suppressed to a quota of `limit` milli-cores."""
    pods = (
        running("a", used=used / 2, cpu_request=requested // 2),
        running("b", used=used / 2, cpu_request=requested // 2),
    )
    return node(*pods, **more), Control(be_quota_us=Wanted(limit * 100, "suppressed"))


def needs_after(policy: Policy, *steps: tuple[Signals, Control], state: NodeState = NOTHING_KNOWN) -> list[Need]:
    eviction, found = CPUEviction(), []
    for signals, control in steps:
        found = eviction.needs(signals, policy, control, state)
    return found


@pytest.mark.parametrize(
    ("average", "latest", "expected"),
    [
        pytest.param((10_000, 9.5), (14_000, 13), 6_000, id="the latest releases less"),
        pytest.param((13_000, 12), (11_000, 10), 7_000, id="the average releases less"),
        pytest.param((10_000, 9.5), (10_000, 5), None, id="the latest use is low"),
        pytest.param((20_000, 10), (10_000, 9.5), None, id="the average use was low"),
    ],
)
def test_be_must_have_been_short_over_the_window_and_be_it_now(average: Any, latest: Any, expected: int | None) -> None:
    # 600 ticks outweigh the last one.
    policy = evicting(**SATISFACTION, cpuEvictTimeWindowSeconds=600)
    steps = [be_node(*average, at_s=float(tick)) for tick in range(600)]
    found = needs_after(policy, *steps, be_node(*latest, at_s=600.0))
    if expected is None:
        assert found == []
    else:
        [need] = found
        assert (need.feature, need.release) == (Feature.BE_CPU, pytest.approx(expected, rel=0.01))


def test_nothing_is_evicted_before_a_third_of_the_window_was_seen() -> None:
    policy = evicting(**SATISFACTION, cpuEvictTimeWindowSeconds=60)
    steps = [be_node(10_000, 9.5, at_s=float(tick)) for tick in range(20)]
    assert needs_after(policy, *steps[:19]) == []
    assert len(needs_after(policy, *steps)) == 1


def test_a_gap_in_what_is_known_of_be_begins_the_window_again() -> None:
    policy = evicting(**SATISFACTION, cpuEvictTimeWindowSeconds=60)
    steps = [be_node(10_000, 9.5, at_s=float(tick)) for tick in range(40)]
    unknown = node(running("a", used=None, cpu_request=50_000), at_s=20.0), NO_CONTROL
    assert needs_after(policy, *steps[:20], unknown, *steps[21:39]) == []


def test_the_limit_is_the_least_of_cpus_and_quota() -> None:
    policy = evicting(**SATISFACTION)
    signals, _ = be_node(0, 4)
    [need] = needs_after(policy, (signals, Control(be_cpus=Wanted(CPUSet.parse("0-3"), "suppressed"))))
    assert need.release == pytest.approx(50_000 * 0.4 - 4_000)
    assert needs_after(policy, (signals, NO_CONTROL)) == []  # not suppressed: BE may use all 100 CPUs


def test_cpus_that_be_never_has_do_not_satisfy_it() -> None:
    signals, _ = be_node(0, 9.5)
    lse = NodeState(exclusive_cpus={"uid-db": {"main": CPUSet.parse("0-79")}}, reserved_cpus=CPUSet.parse("80-89"))
    [need] = needs_after(evicting(**SATISFACTION), (signals, NO_CONTROL), state=lse)
    assert need.release == pytest.approx(50_000 * 0.4 - 10_000)


@pytest.mark.parametrize(("allocatable", "expected"), [(8_000, 12_000), (0, 19_999), (None, None)])
def test_satisfaction_can_be_measured_against_what_is_allocatable(
    allocatable: int | None, expected: int | None
) -> None:
    """koordlet's examples with evictByAllocatable."""
    more = {"cpuEvictPolicy": "evictByAllocatable", "cpuEvictBEUsageThresholdPercent": 50}
    steps = be_node(10_000, 4, allocatable_milli=allocatable)
    found = needs_after(evicting(**SATISFACTION, **more), steps)
    assert [need.release for need in found] == ([] if expected is None else [pytest.approx(expected)])


@pytest.mark.parametrize(("used", "expected"), [(81, 3_000), (80, 2_000), (79.9, None), (11, None)])
def test_koordlets_examples_of_what_usage_releases(used: float, expected: int | None) -> None:
    policy = evicting(cpuEvictThresholdPercent=80, evictEnabledPriorityThreshold=3000)
    found = needs_after(policy, (node(used=used), NO_CONTROL))
    assert [need.release for need in found] == ([] if expected is None else [pytest.approx(expected)])


def test_usage_evicts_nobody_unless_the_policy_says_up_to_which_priority() -> None:
    assert needs_after(evicting(cpuEvictThresholdPercent=80), (node(used=99), NO_CONTROL)) == []


def test_usage_evicts_nobody_while_the_nodes_cpus_are_unknown() -> None:
    policy = evicting(cpuEvictThresholdPercent=80, evictEnabledPriorityThreshold=3000)
    assert needs_after(policy, (node(used=1, cpus=""), NO_CONTROL)) == []


def test_usage_is_averaged_over_the_window() -> None:
    policy = evicting(cpuEvictThresholdPercent=80, evictEnabledPriorityThreshold=3000, cpuEvictTimeWindowSeconds=10)
    steps = [(node(used=50, at_s=float(tick)), NO_CONTROL) for tick in range(10)]
    assert needs_after(policy, *steps, (node(used=100, at_s=10.0), NO_CONTROL)) == []
