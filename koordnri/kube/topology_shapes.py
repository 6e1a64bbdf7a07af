"""What a NodeResourceTopology says of a node: for scheduler-plugins (v1alpha2), and for koord-scheduler (v1alpha1 with annotations).

Pure. Sources: the CustomResourceDefinitions of scheduler-plugins and of Koordinator; docs/reference/koordinator.md for the annotations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from koordnri.kube.topology_publisher import NodeTopology
from koordnri.model import CPUSet, NodeState
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.model.node import Pool
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY, RESERVATION_KEY, SYSTEM_QOS_KEY
from koordnri.model.topology import Topology

CPU_INFO_KEY = "node.koordinator.sh/cpu-basic-info"
CPU_TOPOLOGY_KEY = "node.koordinator.sh/cpu-topology"
POD_CPUS_KEY = "node.koordinator.sh/pod-cpu-allocs"
KUBELET_POLICY_KEY = "kubelet.koordinator.sh/cpu-manager-policy"
_KOORDINATOR_POLICIES = {"best-effort": "BestEffort", "restricted": "Restricted", "single-numa-node": "SingleNUMANode"}


class PodCPUs(NamedTuple):
    """A pod with exclusive CPUs."""

    namespace: str
    name: str
    uid: str
    cpus: CPUSet
    by_scheduler: bool = False
    """whether a scheduler chose them, and so knows them"""


class Described(NamedTuple):
    """What is published of a node.

    uid        of the Node
    room       CPUs that could be exclusive to somebody, whether somebody has them or not
    usable     CPUs that pods may run on
    pods       those with exclusive CPUs
    amounts    NUMA node → resource (`memory`, `hugepages-2Mi`) → bytes
    distances  NUMA node → distances to all NUMA nodes, in their order
    policy     of kubelet's Topology Manager, and its scope
    """

    node: NodeState
    uid: str
    topology: Topology
    room: CPUSet
    usable: CPUSet
    pods: Sequence[PodCPUs]
    amounts: Mapping[int, Mapping[str, int]]
    distances: Mapping[int, Sequence[int]]
    policy: str = "none"
    scope: str = "container"


def zones(it: Described) -> NodeTopology:
    """For scheduler-plugins: each NUMA node, and as its available CPUs those that are left for exclusive use."""
    numa = _cpus_by(it.topology, "numa")
    taken = union(pod.cpus for pod in it.pods) | it.node.kubelet_cpus
    found = []
    for number, cpus in numa.items():
        room = it.room & cpus
        resources = [_resource("cpu", len(cpus), len(room), len(room - taken)), *_memory(it, number)]
        zone = {"name": f"node-{number}", "type": "Node", "resources": resources}
        if len(distances := it.distances.get(number, ())) == len(numa):
            zone["costs"] = [
                {"name": f"node-{other}", "value": value} for other, value in zip(numa, distances, strict=True)
            ]
        found.append(zone)
    attributes = [
        {"name": "topologyManagerPolicy", "value": it.policy},
        {"name": "topologyManagerScope", "value": it.scope},
    ]
    return NodeTopology("v1alpha2", it.uid, {}, {"attributes": attributes, "zones": found})


def for_koordinator(it: Described) -> NodeTopology:
    """For koord-scheduler, which subtracts itself what is reserved and taken."""
    found = [
        {
            "name": f"node-{number}",
            "type": "Node",
            "resources": [_resource("cpu", len(cpus), len(cpus), len(cpus)), *_memory(it, number)],
        }
        for number, cpus in _cpus_by(it.topology, "numa").items()
    ]
    policy = _KOORDINATOR_POLICIES.get(it.policy)
    policies = ["None" if policy is None else f"{policy}{it.scope.capitalize()}Level"]
    return NodeTopology("v1alpha1", it.uid, _annotations(it), {"topologyPolicies": policies, "zones": found})


def _annotations(it: Described) -> dict[str, str]:
    node = it.node
    texts: dict[str, Any] = {
        CPU_INFO_KEY: {
            "cpuModel": node.cpu_model,
            "hyperThreadEnabled": node.threads_per_core > 1,
            "turboEnabled": node.turbo,
        },
        CPU_TOPOLOGY_KEY: {
            "detail": [{"id": c.cpu, "core": c.core, "socket": c.socket, "node": c.numa} for c in it.topology.cpus]
        },
        LS_POOLS_KEY: _pools(it, node.ls_pools),
        BE_POOLS_KEY: _pools(it, node.be_pools),
        # koord-scheduler leaves out only CPUs that kubelet manages, so all that it did not assign itself is marked so.
        POD_CPUS_KEY: [
            {"namespace": p.namespace, "name": p.name, "uid": p.uid, "cpuset": str(p.cpus), "managedByKubelet": True}
            for p in it.pods
            if not p.by_scheduler
        ],
        KUBELET_POLICY_KEY: {"policy": node.kubelet_cpu_policy, "reservedCPUs": str(node.kubelet_reserved)},
        RESERVATION_KEY: {"reservedCPUs": str(node.reserved_cpus)},
    }
    if node.system_cpus:
        texts[SYSTEM_QOS_KEY] = {"cpuset": node.system_cpus, "cpusetExclusive": node.system_exclusive}
    return {key: json.dumps(value, separators=(",", ":")) for key, value in texts.items()}


def _pools(it: Described, pools: Sequence[Pool]) -> list[dict[str, Any]]:
    """The share pools; where nothing is taken, so that there are none, all CPUs that pods may run on."""
    found = pools or [
        Pool(socket, number, str(cpus & it.usable))
        for (socket, number), cpus in _cpus_by(it.topology, "socket", "numa").items()
    ]
    return [{"socket": pool.socket, "node": pool.numa, "cpuset": pool.cpus} for pool in found]


def _memory(it: Described, number: int) -> list[dict[str, str]]:
    """Memory and huge pages. koordnri assigns none of them, so all of it counts as available."""
    amounts = it.amounts.get(number, {})
    return [_resource(name, amount, amount, amount) for name, amount in sorted(amounts.items())]


def _resource(name: str, capacity: int, allocatable: int, available: int) -> dict[str, str]:
    return {
        "name": name,
        "capacity": str(capacity),
        "allocatable": str(allocatable),
        "available": str(available),
    }


def _cpus_by(topology: Topology, *levels: str) -> dict[Any, CPUSet]:
    """Number of the place (a tuple for several levels) → its CPUs, in order."""
    found: dict[Any, CPUSet] = {}
    for cpu in topology.cpus:
        numbers = tuple(getattr(cpu, level) for level in levels)
        place = numbers[0] if len(numbers) == 1 else numbers
        found[place] = found.get(place, NO_CPUS) | CPUSet((cpu.cpu,))
    return dict(sorted(found.items()))
