"""The share pools of a node, computed from what is taken of it: for clusters where no koord-scheduler publishes them.

    LS pool = online − kubelet's static allocations − reserved − CPUs that pods have for themselves − exclusive system CPUs
    BE pool = the same, but of the pods' CPUs only those of LSE are taken: BE may use what an LSR pod leaves idle

per (socket, NUMA node). Where nothing is taken there are no pools: containers then run where kubelet put them. Source: koordlet.md 1.13;
kubelet's reserved CPUs are taken, too, where koordlet leaves them in.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from koordnri.model.cpuset import CPUSet
from koordnri.model.node import Pool
from koordnri.model.topology import Topology


class Taken(NamedTuple):
    """What is not for everybody."""

    lse: CPUSet = CPUSet()
    """CPUs that LSE containers have for themselves"""
    own: CPUSet = CPUSet()
    """the same of everybody: LSE, LSR and whoever else was given some"""
    node: CPUSet = CPUSet()
    """reserved CPUs, exclusive system CPUs, what kubelet's static CPU manager gave away"""


class Pools(NamedTuple):
    """The node's, both empty where nothing is taken."""

    ls: tuple[Pool, ...] = ()
    be: tuple[Pool, ...] = ()
    problems: tuple[str, ...] = ()


def share_pools(topology: Topology, taken: Taken) -> Pools:
    """The pools. One that would be empty altogether falls back to what the node itself leaves, then to all CPUs, and says so."""
    problems: list[str] = []
    ls = _pools(topology, taken.own | taken.node, taken.node, "share pool of LS", problems)
    be = _pools(topology, taken.lse | taken.node, taken.node, "share pool of BE", problems)
    return Pools(ls, be, tuple(problems))


def _pools(topology: Topology, taken: CPUSet, by_node: CPUSet, what: str, problems: list[str]) -> tuple[Pool, ...]:
    online = topology.online
    if not taken & online:
        return ()
    left = online - taken
    if not left:
        left = online - by_node or online
        problems.append(f"the {what} would be empty, since all CPUs are taken; it falls back to {left}")
        if left == online:
            return ()
    by_place: dict[tuple[int, int], list[int]] = defaultdict(list)
    for cpu in topology.cpus:
        if cpu.cpu in left:
            by_place[cpu.socket, cpu.numa].append(cpu.cpu)
    return tuple(Pool(socket, numa, str(CPUSet(cpus))) for (socket, numa), cpus in sorted(by_place.items()))
