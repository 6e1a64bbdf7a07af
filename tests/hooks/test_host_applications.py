"""What each hook gives an application outside of pods, by its class."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.blkio import BlockIO
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.cpuset import CPUSetHook
from koordnri_hooks.memory import Memory
from koordnri_hooks.rdt import RDT

from koordnri.chain import Chain, Snapshot
from koordnri.hook import Hook
from koordnri.model import NodeState, Resources
from koordnri.model.decision import Decision
from koordnri.model.node import Pool, Resctrl
from koordnri.model.resources import NOTHING
from tests.hooks.one_hook import values
from tests.support.policies import policy_of

MIB = 1 << 20
POOLS = (Pool(0, 0, "0-3"), Pool(1, 1, "8-11"))


def decided(hook: Hook, qos: Any, classes: Any, baseline: Resources = NOTHING, **node: Any) -> Decision:
    application = {"name": "a"} | ({} if qos is None else {"qos": qos})
    policy = policy_of(
        resource_qos_config={"clusterStrategy": classes}, host_application_config={"applications": [application]}
    )
    snapshot = Snapshot.of(policy, NodeState(memory_bytes=1024 * MIB, **node))
    return Chain([hook]).decide_host(0, baseline, snapshot)


CPU = {"lsClass": {"cpuQOS": {"enable": True}}, "beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}
IDLE_AND_BVT = frozenset({"cpu.idle", "cpu.bvt_warp_ns"})


@pytest.mark.parametrize(
    ("qos", "expected"),
    [
        ("LSR", {"cpu.bvt_warp_ns": 0}),
        ("LS", {"cpu.bvt_warp_ns": 2}),
        ("BE", {"cpu.bvt_warp_ns": -1, "cpu.idle": 1}),
        ("SYSTEM", {}),
        (None, {}),
    ],
)
def test_cpu_time_goes_by_its_class(qos: Any, expected: dict[str, int]) -> None:
    assert values(decided(CFSQuota(), qos, CPU, cgroup_files=IDLE_AND_BVT)) == expected


def test_be_is_idle_beside_core_scheduling_too() -> None:
    core = {**CPU, "policies": {"cpuPolicy": "coreSched"}}
    assert values(decided(CFSQuota(), "BE", core, cgroup_files=IDLE_AND_BVT)) == {"cpu.idle": 1}


@pytest.mark.parametrize(("qos", "cpus"), [("LS", "0-3,8-11"), ("LSR", None), ("BE", None), ("SYSTEM", None)])
def test_only_ls_has_the_share_pools(qos: Any, cpus: str | None) -> None:
    assert values(decided(CPUSetHook(), qos, {}, ls_pools=POOLS, be_pools=POOLS)).get("cpu.cpus") == cpus


def test_ls_without_pools_is_left_alone() -> None:
    assert decided(CPUSetHook(), "LS", {}).skipped["cpu.cpus"] == "no share pools are known for it"


MEMORY = {
    "memoryQOS": {
        "enable": True,
        "minLimitPercent": 25,
        "lowLimitPercent": 50,
        "throttlingPercent": 75,
        "oomKillGroup": 1,
    }
}


def test_memory_is_in_percent_of_its_limit() -> None:
    assert values(decided(Memory(), "LS", {"lsClass": MEMORY}, Resources(memory_limit=100 * MIB))) == {
        "memory.min": 25 * MIB,
        "memory.low": 50 * MIB,
        "memory.high": 75 * MIB,
        "memory.oom.group": 1,
    }


def test_without_a_limit_it_is_not_protected_and_throttled_by_the_nodes_memory() -> None:
    decision = decided(Memory(), "LS", {"lsClass": MEMORY})
    assert values(decision) == {"memory.high": 768 * MIB, "memory.oom.group": 1}
    assert decision.skipped["memory.min"] == "it has neither a request nor a memory limit that the percent could be of"


def test_a_class_without_memory_qos_gives_none() -> None:
    assert values(decided(Memory(), "BE", {"lsClass": MEMORY}, Resources(memory_limit=100 * MIB))) == {}


def resctrl(**facts: Any) -> Resctrl:
    return Resctrl("intel", 0xFFF, (0,), 16, **{"groups": frozenset(), **facts})


def test_its_threads_go_into_the_group_of_the_class() -> None:
    classes = {"beClass": {"resctrlQOS": {"enable": True}}}
    decision = decided(RDT(), "BE", classes, resctrl=resctrl(groups=frozenset({"BE"})))
    assert {name: (s.value, s.route) for name, s in decision.settings.items()} == {"rdt.closid": ("BE", "resctrl")}
    assert values(decided(RDT(), "LS", classes, resctrl=resctrl())) == {}
    read_only = decided(RDT(), "BE", classes, resctrl=resctrl(groups=frozenset({"BE"}), read_only="no right"))
    assert read_only.skipped["rdt.closid"] == "no right"


def test_be_has_the_disk_limits_of_its_class() -> None:
    blocks = [{"name": "/dev/sda", "ioCfg": {"readBPS": 1024}}]
    classes = {"beClass": {"blkioQOS": {"enable": True, "blocks": blocks}}}
    expected = {"io.max[/dev/sda]": "rbps=1024 wbps=max riops=max wiops=max"}
    assert values(decided(BlockIO(), "BE", classes)) == expected
    assert values(decided(BlockIO(), "LS", classes)) == {}
