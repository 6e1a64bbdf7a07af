"""What the node below the runtime can do: what makes an OCI runtime refuse a container, and what it makes of its limits."""

from __future__ import annotations

from dataclasses import dataclass

from koordnri.model.cpuset import CPUSet


@dataclass(frozen=True, slots=True)
class Kernel:
    """Limits that a container's spec must respect. None means that nothing is refused on that account."""

    cgroup_version: int = 2
    crun: bool = False
    """whether the OCI runtime is crun under systemd, which keeps processes and limits on a second level below the container's scope"""
    cgroup_files: frozenset[str] | None = None
    """names of the files of a v2 cgroup; a `unified` key that is none of them fails the container's start"""
    cpus: CPUSet | None = None
    """the CPUs there are"""
    resctrl_groups: frozenset[str] | None = None
    """the groups there are; a closid of another one fails the container's start. Empty: a node without resctrl"""
    blockio_classes: frozenset[str] = frozenset()
    """classes of the runtime's blockio configuration; a class it lacks fails the container's creation. Runtimes come with none"""
