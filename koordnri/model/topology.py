"""Which CPU belongs to which core, L3 cache, NUMA node and socket."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from operator import attrgetter

from koordnri.model.cpuset import CPUSet

_LEVELS = ("socket", "numa", "core", "cpu")
"""Levels of a machine, the largest first."""


@dataclass(frozen=True, slots=True)
class CPU:
    """One logical CPU. `core`, `l3`, `numa` and `socket` are unique numbers on the node, possibly with gaps."""

    cpu: int
    core: int
    l3: int
    numa: int
    socket: int


@dataclass(frozen=True, slots=True)
class Topology:
    """The online CPUs of the node, ascending by number."""

    cpus: tuple[CPU, ...]
    online: CPUSet

    @classmethod
    def of(cls, cpus: list[CPU]) -> Topology:
        ordered = tuple(sorted(cpus, key=lambda c: c.cpu))
        return cls(ordered, CPUSet(c.cpu for c in ordered))

    def packed(self, count: int) -> CPUSet | None:
        """So many CPUs, chosen as kubelet and koordlet do on a whole machine: all sockets that fit, then NUMA nodes, then cores, then
        single threads; at each step first the groups with the fewest CPUs left, then those with the lowest numbers. None when there are
        not so many.
        """
        if count > len(self.cpus):
            return None
        left, taken = list(self.cpus), CPUSet()
        for depth in range(1, len(_LEVELS) + 1):
            levels = [attrgetter(level) for level in _LEVELS[:depth]]
            rooms = [Counter(map(level, left)) for level in levels]
            groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
            for cpu in left:
                groups[tuple(level(cpu) for level in levels)].append(cpu.cpu)
            ordered = sorted(
                ([n for room, number in zip(rooms, numbers, strict=True) for n in (room[number], number)], cpus)
                for numbers, cpus in groups.items()
            )
            for _, cpus in ordered:
                if len(taken) + len(cpus) <= count:
                    taken |= CPUSet(cpus)
            left = [c for c in left if c.cpu not in taken]
        return taken

    @classmethod
    def regular(cls, sockets: int, numa_per_socket: int, cores_per_numa: int, threads_per_core: int) -> Topology:
        """A machine without gaps, numbered as Linux does on x86: first the first threads of all cores, then the second ones.

        One L3 per NUMA node.
        """
        cores = sockets * numa_per_socket * cores_per_numa
        return cls.of(
            [
                CPU(
                    cpu=thread * cores + core,
                    core=core,
                    l3=core // cores_per_numa,
                    numa=core // cores_per_numa,
                    socket=core // (cores_per_numa * numa_per_socket),
                )
                for thread in range(threads_per_core)
                for core in range(cores)
            ]
        )
