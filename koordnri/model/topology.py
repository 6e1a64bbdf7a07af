"""Which CPU belongs to which core, L3 cache, NUMA node and socket."""

from __future__ import annotations

from dataclasses import dataclass

from koordnri.model.cpuset import CPUSet


@dataclass(frozen=True, slots=True)
class CPU:
    """One logical CPU. `core`, `l3`, `numa` and `socket` are numbers unique on the node."""

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

    @classmethod
    def regular(cls, sockets: int, numa_per_socket: int, cores_per_numa: int, threads_per_core: int) -> Topology:
        """A machine without holes, numbered as Linux does on x86: the first threads of all cores, then the second ones.

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
