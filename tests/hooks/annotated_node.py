"""A node on which every annotation of a pod can have an effect, and a policy that leaves none without."""

from __future__ import annotations

from koordnri.model import NodeState
from koordnri.model.node import Pool, Resctrl
from koordnri.model.schemata import Cache, MemoryBandwidth
from koordnri.model.topology import Topology
from tests.support.policies import policy_of

TOPOLOGY = Topology.regular(2, 1, 4, 2)
NODE = NodeState(
    name="n",
    topology=TOPOLOGY,
    memory_bytes=1 << 36,
    ls_pools=(Pool(0, 0, "0-7"), Pool(1, 1, "8-15")),
    be_pools=(Pool(0, 0, "0-7"), Pool(1, 1, "8-15")),
    cgroup_files=NodeState().cgroup_files | {"cpu.bvt_warp_ns"},
    resctrl=Resctrl(
        "intel", 0xFF, 8, (0, 1), frozenset({"LSR", "LS", "BE"}), (Cache("L3", 0xFF, (0, 1)),), MemoryBandwidth((0, 1))
    ),
    block_devices={"/dev/sda": "8:0"},
)
CLASS = {
    "cpuQOS": {"enable": True},
    "memoryQOS": {"enable": True, "minLimitPercent": 20, "throttlingPercent": 80},
    "resctrlQOS": {"enable": True},
}
POLICY = policy_of(
    resource_qos_config={"clusterStrategy": {"lsrClass": CLASS, "lsClass": CLASS, "beClass": CLASS}},
    cpu_burst_config={"clusterStrategy": {"policy": "auto"}},
)
