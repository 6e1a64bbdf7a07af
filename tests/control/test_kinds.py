"""What switches the controllers on that move values, and that each does its own part."""

from __future__ import annotations

import pytest

from koordnri.control.kinds import MEMORY_HIGH, QUOTA_BURST, Kind, cpu_suppress
from koordnri.control.signals import Load, Signals
from koordnri.model import CPUSet, NodeState
from koordnri.model.annotations import CPU_BURST_KEY
from koordnri.model.control import NO_CONTROL
from koordnri.model.topology import Topology
from tests.control.memory_signals import GI, batch_pod, node_signals
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

SUPPRESS = {"resource_threshold_config": {"enable": True}}
CPU_SUPPRESS = cpu_suppress(lambda: None)
NODE = NodeState(topology=Topology.regular(1, 1, 8, 1))


def options(**controllers: str) -> dict[str, object]:
    return {"koordnri_config": {"controllers": {name: {"mode": mode} for name, mode in controllers.items()}}}


@pytest.mark.parametrize(
    ("kind", "policy", "mode"),
    [
        (CPU_SUPPRESS, {}, "off"),
        (CPU_SUPPRESS, SUPPRESS, "enforce"),
        (CPU_SUPPRESS, SUPPRESS | options(cpuSuppress="observe"), "observe"),
        (CPU_SUPPRESS, SUPPRESS | options(cpuSuppress="off"), "off"),
        (QUOTA_BURST, {}, "off"),
        (QUOTA_BURST, {"cpu_burst_config": {"policy": "auto"}}, "enforce"),
        (QUOTA_BURST, {"cpu_burst_config": {"policy": "cpuBurstOnly"}}, "off"),
        (QUOTA_BURST, {"cpu_burst_config": {"policy": "auto"}} | options(quotaBurst="off"), "off"),
        (MEMORY_HIGH, {}, "off"),
        (MEMORY_HIGH, options(memoryHigh="enforce"), "enforce"),
    ],
)
def test_the_policy_switches_a_controller_on(kind: Kind, policy: dict[str, object], mode: str) -> None:
    assert kind.mode(policy_of(**policy), []) == mode


def test_a_pod_switches_quota_burst_on_by_its_annotation() -> None:
    pod = pod_of("LS", annotations={CPU_BURST_KEY: {"policy": "auto"}})
    assert QUOTA_BURST.mode(policy_of(), [pod]) == "enforce"


def test_suppress_wants_cpus_of_best_effort_work_and_keeps_to_the_ceiling() -> None:
    ceilings = [None, 3000]
    step = cpu_suppress(lambda: ceilings.pop(0)).make()
    idle = [Signals(at_s, 1.0, CPUSet.parse("0-7"), Load(used_cores=0.0), 0) for at_s in (0.0, 1.0)]
    policy = policy_of(resource_threshold_config={"enable": True, "cpuSuppressThresholdPercent": 100})
    assert step(idle[0], policy, NODE, NO_CONTROL).be_cpus is None
    wanted = step(idle[1], policy, NODE, NO_CONTROL).be_cpus
    assert wanted is not None
    assert len(wanted.value) == 3


def test_the_memory_staircase_wants_nothing_where_the_kernel_has_no_memory_high() -> None:
    short = node_signals(0.0, 5, [batch_pod("job", GI)])
    policy = policy_of(**options(memoryHigh="enforce"))
    wanted = MEMORY_HIGH.make()(short, policy, NODE, NO_CONTROL)
    assert wanted.memory_high_bytes.keys() == {"job-main"}
    v1 = NodeState(cgroup_version=1, cgroup_files=frozenset())
    assert MEMORY_HIGH.make()(short, policy, v1, NO_CONTROL) is NO_CONTROL


@pytest.mark.parametrize("kind", [CPU_SUPPRESS, QUOTA_BURST, MEMORY_HIGH])
def test_before_anything_was_measured_nothing_is_wanted(kind: Kind) -> None:
    nothing = Signals(0.0, 0.0, CPUSet.parse("0-7"), Load(), 0)
    assert kind.make()(nothing, policy_of(**SUPPRESS), NODE, NO_CONTROL) == NO_CONTROL
