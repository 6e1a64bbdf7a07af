"""An allocator of a node of 16 CPUs in 2 NUMA nodes, and pods that want some."""

from __future__ import annotations

import json

from koordnri.cpus.allocator import Allocator
from koordnri.model import CPUSet, NodeState, Pod, Resources
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.node import Pool
from koordnri.model.resource_spec import RESOURCE_SPEC
from koordnri.model.topology import Topology
from koordnri.policy.koordnri_config import CPUSetOptions
from tests.support.pods import pod

NODE = NodeState(topology=Topology.regular(1, 2, 4, 2))
"""16 CPUs on 2 NUMA nodes, cores 0,8 1,9 …"""


def whole(cpus: int) -> Resources:
    return Resources(cpu_shares=cpus * 1024, cpu_quota=cpus * 100_000, cpu_period=100_000)


ALL_MAY_GO = CPUSetOptions(min_shared_cpus=0)


def give(
    allocator: Allocator, name: str, cpus: int = 2, qos: str = "LSR", node: NodeState = NODE, pods: tuple[Pod, ...] = ()
) -> str:
    for one in pods:
        allocator.note_pod(one)
    given = allocator.give(pod(qos, name=name), "main", whole(cpus), node, ALL_MAY_GO)
    return "" if given is None else str(given.cpus)


def spec(**policies: str) -> dict[str, str]:
    return {RESOURCE_SPEC.key: json.dumps(policies)}


def pools(*of: Pool) -> list[str]:
    return [pool.cpus for pool in of]


ISOLATED = NodeState(topology=NODE.topology, isolated_cpus=CPUSet.parse("0-1,8-9"))


def assigned(name: str, qos: str, cpus: str) -> Pod:
    return pod(qos, annotations={RESOURCE_STATUS.key: json.dumps({"cpuset": cpus})}, name=name)
