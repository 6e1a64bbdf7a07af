"""Which CPUs a container gets for itself: as few NUMA nodes as can be, then as few L3 caches, whole cores, and the large gaps left whole.

Pure and deterministic: the same node, the same free CPUs and the same wish give the same answer. O(CPUs).
Wishes are those of `scheduling.koordinator.sh/resource-spec` (koord-scheduler's NodeNUMAResource plugin).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeVar

from koordnri.model.cpuset import CPUSet
from koordnri.model.topology import CPU, Topology

K = TypeVar("K")
Bind = Literal["", "FullPCPUs", "SpreadByPCPUs"]
Exclusive = Literal["", "PCPULevel", "NUMANodeLevel"]


class Wish(NamedTuple):
    """What a container wants."""

    cpus: int
    """how many"""
    bind: Bind = ""
    """FullPCPUs: whole cores only; SpreadByPCPUs: one thread of as many cores as there are; "" whole cores where that comes out"""
    exclusive: Exclusive = ""
    """PCPULevel: on no core, NUMANodeLevel: on no NUMA node, that another container with the same wish has CPUs of"""


def choose(
    topology: Topology, free: CPUSet, wish: Wish, others: Iterable[tuple[CPUSet, Exclusive]] = ()
) -> CPUSet | None:
    """The CPUs; None when there are not enough of the kind that is wished.

    free     what may be given
    others   who has CPUs of his own already, and what he wished
    """
    candidates = [cpu for cpu in topology.cpus if cpu.cpu in free]
    candidates = _away_from(topology, candidates, wish.exclusive, others)
    threads = _count(topology.cpus, lambda c: c.core)
    if wish.bind == "FullPCPUs":
        whole = _count(candidates, lambda c: c.core)
        candidates = [c for c in candidates if whole[c.core] == threads[c.core]]
    if wish.cpus < 1 or len(candidates) < wish.cpus:
        return None
    chosen: list[CPU] = []
    wanted = _one_per_core(candidates) if wish.bind == "SpreadByPCPUs" else _of_whole_cores(candidates, threads)
    for numa, of_numa in _spread_least(candidates, wish.cpus, lambda c: c.numa, wanted):
        of_node = [c for c in candidates if c.numa == numa]
        for cache, of_cache in _spread_least(of_node, of_numa, lambda c: c.l3, wanted):
            chosen += _cores([c for c in candidates if (c.numa, c.l3) == (numa, cache)], of_cache, wish.bind, threads)
    if len(chosen) != wish.cpus:  # whole cores of more threads than are wanted
        return None
    return CPUSet(c.cpu for c in chosen)


def _of_whole_cores(cpus: list[CPU], threads: dict[int, int]) -> set[int]:
    left = _count(cpus, lambda c: c.core)
    return {c.cpu for c in cpus if left[c.core] == threads[c.core]}


def _one_per_core(cpus: list[CPU]) -> set[int]:
    return set({c.core: c.cpu for c in reversed(cpus)}.values())


def _spread_least(cpus: list[CPU], count: int, of: Callable[[CPU], int], wanted: set[int]) -> list[tuple[int, int]]:
    """(group, CPUs from it), with as few groups as can be; of those that would do, first one with enough of the kind that is wanted,
    then the one that is left with the least.
    """
    room = _count(cpus, of)
    good = _count([c for c in cpus if c.cpu in wanted], of)
    taken: list[tuple[int, int]] = []
    while count:
        enough = [(good.get(group, 0) < count, size, group) for group, size in room.items() if size >= count]
        group = min(enough)[2] if enough else max((size, -group) for group, size in room.items())[1] * -1
        take = min(room.pop(group), count)
        taken.append((group, take))
        count -= take
    return taken


def _cores(cpus: list[CPU], count: int, bind: Bind, threads: dict[int, int]) -> list[CPU]:
    """`count` of these, which share a cache. Whole cores first, the rest from a core that is broken already."""
    cores: dict[int, list[CPU]] = defaultdict(list)
    for cpu in cpus:
        cores[cpu.core].append(cpu)
    by_number = [cores[core] for core in sorted(cores, key=lambda core: cores[core][0].cpu)]
    if bind == "SpreadByPCPUs":
        rounds = max(map(len, by_number), default=0)
        return [core[i] for i in range(rounds) for core in by_number if i < len(core)][:count]
    chosen: list[CPU] = []
    broken: list[list[CPU]] = []
    # Where siblings are offline, a core of one thread would else take the place of a pair, and a pair be broken for the other half.
    by_number.sort(key=len, reverse=True)
    for core in by_number:
        if len(core) == threads[core[0].core] and len(core) <= count - len(chosen):
            chosen += core
        else:
            broken.append(core)
    if bind == "FullPCPUs":
        return chosen
    # Best fit again: a core that has just what is missing, before one that has more, before several.
    while (missing := count - len(chosen)) > 0:
        fitting = [core for core in broken if len(core) >= missing]
        core = min(fitting, key=len) if fitting else max(broken, key=len)
        broken.remove(core)
        chosen += core[:missing]
    return chosen


def _away_from(
    topology: Topology, cpus: list[CPU], exclusive: Exclusive, others: Iterable[tuple[CPUSet, Exclusive]]
) -> list[CPU]:
    if not exclusive:
        return cpus
    taken = {cpu for held, wish in others if wish == exclusive for cpu in held}
    if exclusive == "PCPULevel":
        cores = {c.core for c in topology.cpus if c.cpu in taken}
        return [c for c in cpus if c.core not in cores]
    nodes = {c.numa for c in topology.cpus if c.cpu in taken}
    return [c for c in cpus if c.numa not in nodes]


def _count(cpus: Iterable[CPU], of: Callable[[CPU], K]) -> dict[K, int]:
    counts: dict[K, int] = defaultdict(int)
    for cpu in cpus:
        counts[of(cpu)] += 1
    return counts


def choose_more(
    topology: Topology, free: CPUSet, have: CPUSet, wish: Wish, others: Iterable[tuple[CPUSet, Exclusive]] = ()
) -> CPUSet | None:
    """CPUs that bring `have` up to `wish.cpus`, as near to it as can be: siblings first, then the same L3 cache, NUMA node, socket.

    The new ones only; None when there are not enough of the kind that is wished.
    """
    missing = wish.cpus - len(have)
    others = list(others)
    cores = {c.core for c in topology.cpus if c.cpu in have}
    near = CPUSet(c.cpu for c in topology.cpus if c.core in cores) & free
    if wish.bind != "SpreadByPCPUs" and near:
        first = CPUSet(list(near)[:missing])
        if len(first) == missing:
            return first if wish.bind != "FullPCPUs" or len(near) == missing else None
        rest = choose_more(topology, free - first, have | first, wish, others)
        return None if rest is None else first | rest
    for place in _PLACES:
        places = {place(c) for c in topology.cpus if c.cpu in have}
        here = CPUSet(c.cpu for c in topology.cpus if place(c) in places) & free
        if len(here) >= missing and (found := choose(topology, here, wish._replace(cpus=missing), others)) is not None:
            return found
    return choose(topology, free, wish._replace(cpus=missing), others)


def choose_fewer(topology: Topology, have: CPUSet, wish: Wish) -> CPUSet:
    """Which `wish.cpus` of what a container has it keeps."""
    kept = choose(topology, have, wish) or choose(topology, have, Wish(wish.cpus))
    return kept if kept is not None else CPUSet(list(have)[: wish.cpus])


_PLACES: tuple[Callable[[CPU], int], ...] = (lambda c: c.l3, lambda c: c.numa, lambda c: c.socket)
