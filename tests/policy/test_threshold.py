"""Thresholds of koord's controllers: read, checked, and kept for them."""

from __future__ import annotations

import pytest

from koordnri.policy import DEFAULT_POLICY, PolicyError
from tests.support.policies import policy_of


def test_what_is_stated_lies_over_the_defaults() -> None:
    found = policy_of(resource_threshold_config={"clusterStrategy": {"cpuSuppressThresholdPercent": 50}}).threshold
    assert found.cpu_suppress_threshold_percent == 50
    assert found.memory_evict_threshold_percent == DEFAULT_POLICY.threshold.memory_evict_threshold_percent


@pytest.mark.parametrize(
    "strategy",
    [
        {"memoryEvictThresholdPercent": 60, "memoryEvictLowerPercent": 70},
        {"cpuSuppressThresholdPercent": 101},
        {"cpuSuppressPolicy": "sometimes"},
    ],
)
def test_what_contradicts_itself_or_its_range_is_refused(strategy: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match="resource-threshold-config"):
        policy_of(resource_threshold_config={"clusterStrategy": strategy})
