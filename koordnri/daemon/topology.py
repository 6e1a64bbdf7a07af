"""What is published of this node as a NodeResourceTopology, if the policy says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from koordnri.answers.cpu_holders import SCHEDULER, find_holders
from koordnri.cpus.room import exclusive_room, usable_cpus
from koordnri.host.files import HostFiles
from koordnri.host.kubelet_config import read_topology_manager
from koordnri.host.numa_memory import read_numa_memory
from koordnri.kube import NodeTopology, NotKnown
from koordnri.kube.topology_shapes import Described, PodCPUs, for_koordinator, zones
from koordnri.model.cpuset import NO_CPUS
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present

REASON = "TopologyNotPublished"
"""reason of the Event"""


class TopologyReport:
    """Called by the publisher's thread.

    node_uid   of the Node object; None while not everything was read from the API server, "" when there is no such Node
    """

    def __init__(self, present: Present, ledger: Ledger, host_root: Path, node_uid: Callable[[], str | None]) -> None:
        self._present = present
        self._ledger = ledger
        self._host_root = host_root
        self._node_uid = node_uid

    def wanted(self) -> NodeTopology | None:
        """What is to be published now; None for nothing. Raises NotKnown."""
        uid = self._node_uid()
        if uid is None:
            raise NotKnown
        policy = self._present.snapshot.policy.publish_topology
        if policy == "none":
            return None
        described = self._described(uid) if uid else None
        if described is None:
            raise NotKnown
        return zones(described) if policy == "zones" else for_koordinator(described)

    def _described(self, uid: str) -> Described | None:
        node = self._present.snapshot.node
        if node.topology is None:
            return None
        files = HostFiles(self._host_root)
        memory = read_numa_memory(files, sorted({cpu.numa for cpu in node.topology.cpus}))
        manager = read_topology_manager(files)
        return Described(
            node,
            uid,
            node.topology,
            exclusive_room(node),
            usable_cpus(node),
            self._pods(),
            {number: found.amounts for number, found in memory.items()},
            {number: found.distances for number, found in memory.items()},
            manager.policy,
            manager.scope,
        )

    def _pods(self) -> list[PodCPUs]:
        """The pods with exclusive CPUs. A pod with CPUs from its scheduler and from others has two entries."""
        pods = {pod.key: pod for pod in self._ledger.pods()}
        node, present = self._present.snapshot.node, self._present
        found: dict[tuple[str, bool], PodCPUs] = {}
        for owner in find_holders(node, pods.values(), present.allocator.held, present.kubelet.pins):
            pod, by_scheduler = pods.get(owner.key), owner.by == SCHEDULER
            if pod is not None and (cpus := owner.cpus | owner.coming):
                before = found.get((pod.key, by_scheduler))
                cpus |= NO_CPUS if before is None else before.cpus
                found[pod.key, by_scheduler] = PodCPUs(pod.namespace, pod.name, pod.uid, cpus, by_scheduler)
        return [found[key] for key in sorted(found)]
