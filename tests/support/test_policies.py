"""The builder of policies: what a test states reaches the policy."""

from __future__ import annotations

import pytest

from koordnri.policy import DEFAULT_POLICY, PolicyError
from tests.support.policies import policy_of

AUTO_IN_POOL = {"nodeStrategies": [{"nodeSelector": {"matchLabels": {"pool": "x"}}, "policy": "auto"}]}


def test_nothing_stated_is_the_default():
    found = policy_of()
    assert (found.burst, found.qos, found.threshold) == (
        DEFAULT_POLICY.burst,
        DEFAULT_POLICY.qos,
        DEFAULT_POLICY.threshold,
    )


@pytest.mark.parametrize(("labels", "expected"), [({"pool": "x"}, "auto"), ({}, "none")])
def test_a_section_is_resolved_for_the_nodes_labels(labels: dict[str, str], expected: str):
    assert policy_of(labels, cpu_burst_config=AUTO_IN_POOL).burst.policy == expected


def test_a_mistake_is_an_error():
    with pytest.raises(PolicyError, match="cpuBurstPercent"):
        policy_of(cpu_burst_config={"cpuBurstPercent": -1})
