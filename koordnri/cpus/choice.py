"""Which exclusive CPUs a container gets: few NUMA nodes, then few L3 caches, then whole cores; large gaps are kept whole.

Pure and deterministic: the same node, free CPUs and wish give the same answer. O(cores), on bit masks, since a large node has 384 CPUs
and this runs on the event path. Wishes are those of `scheduling.koordinator.sh/resource-spec` (koord-scheduler's NodeNUMAResource plugin).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeVar

from koordnri.model.allocated import Exclusive
from koordnri.model.cpuset import CPUSet
from koordnri.model.topology import CPU, Topology

Bind = Literal["", "FullPCPUs", "SpreadByPCPUs"]


class Wish(NamedTuple):
    """The exclusive CPUs that a container wants."""

    cpus: int
    """how many"""
    bind: Bind = ""
    """FullPCPUs: whole cores only; SpreadByPCPUs: one thread on as many cores as possible; "": whole cores if that works out"""
    exclusive: Exclusive = ""
    """PCPULevel: on no core, NUMANodeLevel: on no NUMA node, where another container with the same wish has CPUs"""


def choose(
    topology: Topology, free: CPUSet, wish: Wish, others: Iterable[tuple[CPUSet, Exclusive]] = ()
) -> CPUSet | None:
    """The chosen CPUs; None when there are not enough that fit the wish.

    free     CPUs that may be given
    others   (exclusive CPUs, wish) of the other containers
    """
    masks = _masks(topology)
    candidates = _away_from(masks, free.mask & topology.online.mask, wish.exclusive, others)
    if wish.bind == "FullPCPUs":
        candidates = _whole_cores(masks, candidates)
    if wish.cpus < 1 or candidates.bit_count() < wish.cpus:
        return None
    wanted = _one_per_core(masks, candidates) if wish.bind == "SpreadByPCPUs" else _whole_cores(masks, candidates)
    chosen = 0
    for numa, of_numa in _spread_least(masks.numa, candidates, wish.cpus, wanted):
        caches = masks.caches[numa]
        for cache, of_cache in _spread_least(caches, candidates, of_numa, wanted):
            chosen |= _from_cores(masks.cores_of[cache], caches[cache] & candidates, of_cache, wish.bind)
    if chosen.bit_count() != wish.cpus:  # whole cores have more threads than wanted
        return None
    return CPUSet.of_mask(chosen)


def choose_more(
    topology: Topology, free: CPUSet, have: CPUSet, wish: Wish, others: Iterable[tuple[CPUSet, Exclusive]] = ()
) -> CPUSet | None:
    """CPUs that bring `have` up to `wish.cpus`, near to it: siblings first, then the same L3 cache, NUMA node, socket.

    Returns the new ones only; None when there are not enough that fit the wish.
    """
    missing, others = wish.cpus - len(have), list(others)
    siblings = CPUSet.of_mask(_sum(core for core in _masks(topology).cores if core & have.mask)) & free
    if wish.bind != "SpreadByPCPUs" and siblings:
        first = CPUSet(list(siblings)[:missing])
        if len(first) == missing:
            return first if wish.bind != "FullPCPUs" or len(siblings) == missing else None
        rest = choose_more(topology, free - first, have | first, wish, others)
        return None if rest is None else first | rest
    for place in _PLACES:
        places = {place(c) for c in topology.cpus if c.cpu in have}
        here = CPUSet(c.cpu for c in topology.cpus if place(c) in places) & free
        if len(here) >= missing and (found := choose(topology, here, wish._replace(cpus=missing), others)) is not None:
            return found
    return choose(topology, free, wish._replace(cpus=missing), others)


def choose_fewer(topology: Topology, have: CPUSet, wish: Wish) -> CPUSet:
    """The `wish.cpus` CPUs that a container keeps of those that it has."""
    kept = choose(topology, have, wish) or choose(topology, have, Wish(wish.cpus))
    return kept if kept is not None else CPUSet(list(have)[: wish.cpus])


def numa_nodes(topology: Topology, cpus: CPUSet) -> CPUSet:
    """The NUMA nodes that these CPUs are on."""
    return CPUSet(node for node, mask in _masks(topology).numa.items() if mask & cpus.mask)


_PLACES: tuple[Callable[[CPU], int], ...] = (lambda c: c.l3, lambda c: c.numa, lambda c: c.socket)

_Place = tuple[int, int]
"""(NUMA node, L3 cache)"""
G = TypeVar("G", int, _Place)


class _Masks(NamedTuple):
    """A topology as bit masks of CPUs."""

    cores: tuple[int, ...]
    numa: dict[int, int]
    caches: dict[int, dict[_Place, int]]
    """NUMA node → its part of each L3 cache"""
    cores_of: dict[_Place, tuple[int, ...]]


def _masks(topology: Topology) -> _Masks:
    global _last
    if _last[0] is not topology:
        _last = (topology, _masks_of(topology))
    return _last[1]


def _masks_of(topology: Topology) -> _Masks:
    cores: dict[int, int] = {}
    numa: dict[int, int] = {}
    caches: dict[int, dict[_Place, int]] = {}
    for c in topology.cpus:
        bit, place = 1 << c.cpu, (c.numa, c.l3)
        cores[c.core] = cores.get(c.core, 0) | bit
        numa[c.numa] = numa.get(c.numa, 0) | bit
        of_numa = caches.setdefault(c.numa, {})
        of_numa[place] = of_numa.get(place, 0) | bit
    all_cores = tuple(cores.values())
    places = {place: mask for of_numa in caches.values() for place, mask in of_numa.items()}
    return _Masks(all_cores, numa, caches, {p: tuple(c for c in all_cores if c & m) for p, m in places.items()})


_NO_TOPOLOGY = Topology((), CPUSet())
_last: tuple[Topology, _Masks] = (_NO_TOPOLOGY, _masks_of(_NO_TOPOLOGY))
"""Cache of the last topology: it changes only when a CPU goes online or offline."""


def _whole_cores(masks: _Masks, cpus: int) -> int:
    return _sum(core for core in masks.cores if core & cpus == core)


def _one_per_core(masks: _Masks, cpus: int) -> int:
    return _sum(_lowest(core & cpus) for core in masks.cores)


def _spread_least(groups: dict[G, int], cpus: int, count: int, wanted: int) -> list[tuple[G, int]]:
    """(group, number of CPUs from it) with as few groups as possible. Among equally few, prefer groups with enough of the wanted kind,
    then those with the fewest CPUs left over.
    """
    room = {group: size for group, mask in groups.items() if (size := (mask & cpus).bit_count())}
    taken = []
    while count:
        enough = [
            ((groups[group] & cpus & wanted).bit_count() < count, size, group)
            for group, size in room.items()
            if size >= count
        ]
        most = max(room.values())
        group = min(enough)[2] if enough else min(group for group, size in room.items() if size == most)
        take = min(room.pop(group), count)
        taken.append((group, take))
        count -= take
    return taken


def _from_cores(cores: Iterable[int], cpus: int, count: int, bind: Bind) -> int:
    """`count` of these CPUs, which share a cache. Whole cores first; the rest from a core that is already split."""
    here = sorted([(core & cpus, core) for core in cores if core & cpus], key=lambda c: _lowest(c[0]))
    if bind == "SpreadByPCPUs":
        return _sum(list(_round_robin([mask for mask, _ in here]))[:count])
    # Cores with more threads first: otherwise a core with an offline sibling would stand in for a pair, and a pair be split for the rest.
    here.sort(key=lambda c: c[0].bit_count(), reverse=True)
    chosen, broken = 0, []
    for mask, core in here:
        if mask == core and mask.bit_count() <= count - chosen.bit_count():
            chosen |= mask
        else:
            broken.append(mask)
    if bind == "FullPCPUs":
        return chosen
    # Best fit: first a core that has exactly the missing number, then one that has more, then several.
    while (missing := count - chosen.bit_count()) > 0:
        fitting = [mask for mask in broken if mask.bit_count() >= missing]
        mask = min(fitting, key=int.bit_count) if fitting else max(broken, key=int.bit_count)
        broken.remove(mask)
        chosen |= _sum(list(_bits(mask))[:missing])
    return chosen


def _round_robin(cores: list[int]) -> Iterator[int]:
    """The first threads of all cores, then the second ones, and so on."""
    while any(cores):
        yield from (_lowest(mask) for mask in cores if mask)
        cores = [mask & (mask - 1) if mask else 0 for mask in cores]


def _away_from(masks: _Masks, cpus: int, exclusive: Exclusive, others: Iterable[tuple[CPUSet, Exclusive]]) -> int:
    if not exclusive:
        return cpus
    taken = _sum(held.mask for held, wish in others if wish == exclusive)
    places = masks.cores if exclusive == "PCPULevel" else masks.numa.values()
    return cpus & ~_sum(mask for mask in places if mask & taken)


def _sum(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total


def _lowest(mask: int) -> int:
    return mask & -mask


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield _lowest(mask)
        mask &= mask - 1
