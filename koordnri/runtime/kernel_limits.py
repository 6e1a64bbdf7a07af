"""The node below the runtime: what makes an OCI runtime refuse a container, and how it applies limits."""

from __future__ import annotations

from dataclasses import dataclass

from koordnri.model.cpuset import CPUSet


@dataclass(frozen=True, slots=True)
class KernelLimits:
    """Limits that a container's spec must respect. None: nothing is refused for that reason."""

    cgroup_version: int = 2
    crun: bool = False
    """whether the OCI runtime is crun under systemd: it keeps processes and limits one level below the container's scope"""
    cgroup_files: frozenset[str] | None = None
    """file names of a v2 cgroup; a `unified` key that is not among them fails the container's start"""
    cpus: CPUSet | None = None
    """the node's CPUs"""
    resctrl_groups: frozenset[str] | None = None
    """the node's groups; a closid that is not among them fails the container's start. Empty: a node without resctrl"""
    blockio_classes: frozenset[str] = frozenset()
    """classes of the runtime's blockio configuration; another class fails the container's creation. Runtimes ship without any"""
