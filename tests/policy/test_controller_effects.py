"""Controllers that do less on a node than the policy says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import NodeState
from koordnri.policy.effects import without_effect_on
from tests.support.policies import policy_of

DESCRIBED = NodeState()
REAL = replace(DESCRIBED, block_devices={}, cgroup_files=DESCRIBED.cgroup_files | {"memory.pressure"})
NO_PSI = replace(DESCRIBED, block_devices={})
V1 = NodeState(cgroup_version=1, cgroup_files=frozenset(), block_devices={})
SHORT = {"memoryHigh": {"mode": "enforce"}}


def warned(node: NodeState, controllers: dict[str, Any], **threshold: Any) -> list[str]:
    policy = policy_of(
        koordnri_config={"clusterStrategy": {"controllers": controllers}},
        resource_threshold_config={"clusterStrategy": threshold},
    )
    found = without_effect_on(policy, node)
    return [text.removeprefix("koordnri-config.controllers.") for text in found]


@pytest.mark.parametrize("node", [DESCRIBED, REAL])
@pytest.mark.parametrize("controllers", [{}, SHORT, {"noisyNeighbour": "report"}])
def test_there_is_no_warning_where_all_has_its_effect(node, controllers):
    assert warned(node, controllers) == []


@pytest.mark.parametrize(
    ("node", "controllers", "warning"),
    [
        (V1, SHORT, "memoryHigh: has no effect on this node: its kernel (cgroup v1) has no memory.high"),
        (NO_PSI, SHORT, "memoryHigh.pressurePercent: this node's kernel has no pressure stall information"),
        (NO_PSI, {"noisyNeighbour": "report"}, "noisyNeighbour: this node's kernel has no pressure stall information"),
        (
            NO_PSI,
            {"noisyNeighbour": "off", "evict": {"memoryPressurePercent": 20}},
            "evict.memoryPressurePercent: this node's kernel has no pressure stall information",
        ),
        (V1, {"noisyNeighbour": "report"}, "noisyNeighbour: this node's kernel has no pressure stall information"),
    ],
)
def test_what_the_kernel_lacks_is_named(node, controllers, warning):
    [text] = warned(node, controllers)
    assert text.startswith(warning)


@pytest.mark.parametrize(
    ("controllers", "threshold", "why"),
    [
        ({"noisyNeighbour": "suppress"}, {"enable": False}, "resource-threshold-config has no enable: true"),
        (
            {"noisyNeighbour": "suppress", "cpuSuppress": {"mode": "observe"}},
            {"enable": True},
            "cpuSuppress has mode observe",
        ),
        ({"noisyNeighbour": "evict"}, {}, "evict only reports: evict has mode off"),
        ({"evict": {"mode": "observe"}}, {}, "evict.mode: observe has no effect: resource-threshold-config has no"),
        (
            {},
            {"enable": True, "cpuEvictThresholdPercent": 90},
            "evict.mode: off: nobody is evicted by cpuEvictThreshold",
        ),
        ({"evict": {"mode": "enforce"}}, {"enable": True, "cpuEvictThresholdPercent": 90}, None),
        ({}, {"enable": True, "memoryEvictThresholdPercent": 90}, None),
        ({"noisyNeighbour": "suppress"}, {"enable": True}, None),
        ({"noisyNeighbour": "evict", "evict": {"mode": "enforce"}}, {}, None),
    ],
)
def test_an_action_that_another_key_switches_off_is_named(controllers, threshold, why):
    found = warned(REAL, controllers, **threshold)
    assert [text for text in found if why is not None and why in text] == found
    assert len(found) == (why is not None)
