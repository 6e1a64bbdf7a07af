from __future__ import annotations

import pytest

from koordnri.control.evict_memory import memory_needs, pressure_needs
from koordnri.control.victims import Feature
from tests.control.evicted_node import ENABLED, GIB, evicting, node, running
from tests.control.memory_signals import service_pod


@pytest.mark.parametrize(
    ("used", "more", "expected"),
    [
        pytest.param(70, {}, 2, id="at the default threshold, to 2 % below"),
        pytest.param(69.9, {}, None, id="below it"),
        pytest.param(
            85, {"memoryEvictThresholdPercent": 80, "memoryEvictLowerPercent": 60}, 25, id="to the lower percent"
        ),
        pytest.param(3, {"memoryEvictThresholdPercent": 1}, 3, id="never to less than nothing"),
        pytest.param(None, {}, None, id="not known"),
    ],
)
def test_usage_releases_memory_down_to_the_lower_percent(
    used: float | None, more: dict[str, int], expected: float | None
) -> None:
    found = memory_needs(node(memory=used), evicting(**more))
    assert [need.release for need in found] == ([] if expected is None else [pytest.approx(expected * GIB)])


def test_others_than_be_pods_follow_only_where_the_policy_says_up_to_which_priority() -> None:
    """koordlet multiplies the memory that these pods use by 1000, so that one is always enough."""
    pods = running("batch", memory=1), running("service", "LS", memory=1, priority=5000, labels=ENABLED)
    [alone] = memory_needs(node(*pods, memory=75), evicting())
    assert (alone.feature, [pod.pod.name for pod in alone.candidates]) == (Feature.BE_MEMORY, ["batch"])
    first, second = memory_needs(node(*pods, memory=75), evicting(evictEnabledPriorityThreshold=5999))
    assert (first.feature, second.feature) == (Feature.BE_MEMORY, Feature.MEMORY)
    assert [pod.pod.name for pod in second.candidates] == ["service"]
    assert second.amount(pods[1]) == GIB


@pytest.mark.parametrize(("pressure", "expected"), [(None, 0), (19.9, 0), (20.0, 1)])
def test_pressure_evicts_where_the_policy_names_a_percent(pressure: float | None, expected: int) -> None:
    pods = running("small", memory=1), running("large", memory=2), running("service", "LS", memory=9, labels=ENABLED)
    signals = node(*pods, pressure=pressure)
    assert pressure_needs(signals, evicting()) == []
    found = pressure_needs(signals, evicting({"memoryPressurePercent": 20}))
    assert len(found) == expected
    for need in found:
        assert [pod.pod.name for pod in need.candidates] == ["large", "small"]
        assert need.amount(pods[0]) == need.release  # one is enough


def test_who_waits_for_memory_at_its_own_limit_has_no_other_pod_evicted() -> None:
    policy = evicting({"memoryPressurePercent": 20})
    bounded, free = service_pod("bounded", 30.0, GIB, limit=GIB), service_pod("free", 25.0, GIB)
    batch = running("batch", memory=1)
    assert pressure_needs(node(bounded, batch, pressure=40.0), policy) == []
    assert len(pressure_needs(node(bounded, free, batch, pressure=55.0), policy)) == 1
