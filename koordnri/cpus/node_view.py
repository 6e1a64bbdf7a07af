"""The node as decisions see it: with all exclusive CPUs, and with share pools of what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.pools import TakenCPUs, share_pools
from koordnri.cpus.room import usable_cpus
from koordnri.model import CPUSet, NodeState
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.policy.koordnri_config import CPUSetOptions

AssignedCPUs = Mapping[str, tuple[CPUSet, bool]]
"""Key of a pod → CPUs that a scheduler assigned to it, and whether it is LSE"""
DRACPUs = Mapping[str, Mapping[str, CPUSet]]
"""Key of the pod → container name → CPUs from DRA drivers"""
MOST_REMEMBERED = 1000
"""Ended pods whose usable CPUs may stay in the cache."""


class NodeView:
    """Used by any thread: two of them at worst compute the same twice."""

    def __init__(self) -> None:
        self._usable_of: dict[str, tuple[Mapping[str, Holding], CPUSet, Mapping[str, CPUSet]]] = {}
        """key → (holdings of its containers, usable CPUs, what the node state gets from them)"""

    def of(
        self,
        node: NodeState,
        options: CPUSetOptions,
        held: Holdings,
        assigned: AssignedCPUs,
        dra: DRACPUs,
        lacking: Mapping[str, Mapping[str, str]],
    ) -> NodeState:
        """The node with all holdings, and, unless Koordinator publishes share pools, with pools of what is left. It replaces what an
        earlier call put in. If one of a container's CPUs goes offline, it keeps the rest.
        """
        topology = node.topology
        if topology is None:
            return replace(node, no_exclusive_cpus=lacking) if lacking or node.no_exclusive_cpus else node
        if node.exclusive_cpus or node.dra_cpus or node.no_exclusive_cpus:
            node = replace(node, exclusive_cpus={}, dra_cpus={}, no_exclusive_cpus={})
        if node.pools_are_local:
            node = replace(node, ls_pools=(), be_pools=(), pools_are_local=False, empty_pools=())
        usable = usable_cpus(node)
        own = self._own(held, usable)
        if node.ls_pools or node.be_pools:  # published by Koordinator, which has its own assignments taken out
            return (
                replace(node, exclusive_cpus=own, dra_cpus=dra, no_exclusive_cpus=lacking)
                if own or dra or lacking
                else node
            )
        isolated = NO_CPUS if options.isolated_cpus == "share" else node.isolated_cpus
        pools = share_pools(topology, taken_cpus(node, held, assigned, dra), usable, isolated)
        if not own and not dra and not lacking and not pools.ls and not pools.be and not pools.problems:
            return node
        return replace(
            node,
            exclusive_cpus=own,
            dra_cpus=dra,
            no_exclusive_cpus=lacking,
            ls_pools=pools.ls,
            be_pools=pools.be,
            pools_are_local=True,
            empty_pools=pools.empty,
            problems=(*node.problems, *(p for p in pools.problems if p not in node.problems)),
        )

    def _own(self, held: Holdings, usable: CPUSet) -> Mapping[str, Mapping[str, CPUSet]]:
        """Key → container → its usable CPUs. Computed again only where it changed: this runs on the event path."""
        usable_of, own = self._usable_of, {}
        for key, of_pod in held.items():
            known = usable_of.get(key)
            if known is None or known[0] is not of_pod or known[1] != usable:
                there = {name: left for name, h in of_pod.items() if not h.spent and (left := h.cpus & usable)}
                known = usable_of[key] = (of_pod, usable, there)
            if known[2]:
                own[key] = known[2]
        if len(usable_of) > 2 * len(own) + MOST_REMEMBERED:
            self._usable_of = {}
        return own


def taken_cpus(node: NodeState, held: Holdings, assigned: AssignedCPUs, dra: DRACPUs) -> TakenCPUs:
    """All CPUs that are not for everybody."""
    by_drivers = union(cpus for of_pod in dra.values() for cpus in of_pod.values())
    lse = own = 0  # bit masks, since there may be hundreds on the event path
    for of_pod in held.values():
        for cpus, _, is_lse, coming, _ in of_pod.values():
            own |= cpus.mask | coming.mask
            if is_lse:
                lse |= cpus.mask | coming.mask
    for cpus, is_lse in assigned.values():
        own |= cpus.mask
        if is_lse:
            lse |= cpus.mask
    system = CPUSet.parse(node.system_cpus) if node.system_exclusive else CPUSet()
    given = node.kubelet_cpus | system | by_drivers
    return TakenCPUs(CPUSet.of_mask(lse), CPUSet.of_mask(own), node.reserved_cpus | node.kubelet_reserved, given)
