"""Share pools of the node, computed from what is taken: for clusters where no koord-scheduler publishes them.

    LS pool = usable − reserved − kubelet's static allocations − pods' exclusive CPUs − exclusive system CPUs
    BE pool = the same, but only LSE pods' exclusive CPUs are taken: BE may use what an LSR pod leaves idle

per (socket, NUMA node). If nothing is taken there are no pools, and containers run where kubelet put them. Source: koordinator.md 4.2;
unlike koordlet, kubelet's reserved CPUs count as taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from koordnri.model.cpuset import CPUSet
from koordnri.model.node import Pool
from koordnri.model.topology import Topology

_NONE = CPUSet()


class TakenCPUs(NamedTuple):
    """CPUs that are not in the LS pool."""

    lse: CPUSet = _NONE
    """exclusive CPUs of LSE containers"""
    own: CPUSet = _NONE
    """exclusive CPUs of all containers, LSE among them"""
    reserved: CPUSet = _NONE
    """reserved CPUs, by the Node or by kubelet's configuration"""
    node: CPUSet = _NONE
    """exclusive system CPUs; CPUs that kubelet's static CPU manager and DRA drivers gave away"""

    @property
    def all(self) -> CPUSet:
        """Everything that is taken."""
        return self.own | self.reserved | self.node


class Pools(NamedTuple):
    """The node's share pools; none when nothing is taken."""

    ls: tuple[Pool, ...] = ()
    be: tuple[Pool, ...] = ()
    problems: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    """`LS`, `BE`: pools that would be empty, and fell back to taken CPUs"""


def share_pools(topology: Topology, taken: TakenCPUs, usable: CPUSet | None = None, kept_out: CPUSet = _NONE) -> Pools:
    """The pools. A pool that would be empty falls back to reserved CPUs, then LSR containers', then LSE containers', and reports it.

    usable     CPUs that pods may run on; None: all online ones
    kept_out   CPUs in no pool, though nobody has them: isolated ones
    """
    usable = topology.online if usable is None else usable & topology.online
    lsr = taken.own - taken.lse
    ls = _Fill(
        "LS",
        taken.all & usable,
        usable - taken.all - kept_out,
        (taken.reserved - taken.own - taken.node, lsr, taken.lse),
    )
    without_lsr = taken.lse | taken.reserved | taken.node
    be = _Fill(
        "BE",
        without_lsr & usable,
        usable - without_lsr - kept_out,
        (taken.reserved - taken.lse - taken.node, taken.lse),
    )
    problems: list[str] = []
    pools = [_pools(topology, fill, usable, problems) for fill in (ls, be)]
    empty = tuple(fill.name for fill in (ls, be) if fill.taken and not fill.left)
    return Pools(pools[0], pools[1], tuple(problems), empty)


class _Fill(NamedTuple):
    name: str
    taken: CPUSet
    left: CPUSet
    fallbacks: Sequence[CPUSet]


def _pools(topology: Topology, fill: _Fill, usable: CPUSet, problems: list[str]) -> tuple[Pool, ...]:
    if not fill.taken:
        return ()
    left = fill.left
    if not left:
        left = next((cpus & usable for cpus in fill.fallbacks if cpus & usable), usable)
        problems.append(
            f"the share pool of {fill.name} would be empty, since all CPUs are taken; it falls back to {left}"
        )
        if left == topology.online:
            return ()
    places = _places(topology)
    return tuple(Pool(*place, str(cpus)) for place, of_place in places if (cpus := left & of_place))


def _places(topology: Topology) -> list[tuple[tuple[int, int], CPUSet]]:
    """((socket, NUMA node), its CPUs), in order."""
    global _last
    if _last[0] is not topology:
        by_place: dict[tuple[int, int], list[int]] = defaultdict(list)
        for cpu in topology.cpus:
            by_place[cpu.socket, cpu.numa].append(cpu.cpu)
        _last = (topology, [(place, CPUSet(cpus)) for place, cpus in sorted(by_place.items())])
    return _last[1]


_last: tuple[Topology | None, list[tuple[tuple[int, int], CPUSet]]] = (None, [])
"""Cache of the last topology: it changes only when a CPU goes online or offline."""
