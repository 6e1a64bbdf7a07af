"""What one container has for itself, and how that is noted with it."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model.allocated import NOT_ALLOCATED, Allocated, Exclusive
from koordnri.model.cpuset import NO_CPUS, CPUSet


class Holding(NamedTuple):
    """One container's exclusive CPUs."""

    cpus: CPUSet
    exclusive: Exclusive = ""
    lse: bool = False
    coming: CPUSet = NO_CPUS
    """more CPUs, which the others are about to leave; the container gets them once they have"""
    spent: bool = False
    """its container was an init container and has ended: the pod's next containers use the CPUs again"""

    @property
    def all(self) -> CPUSet:
        """What nobody else gets."""
        return self.cpus | self.coming

    @property
    def allocated(self) -> Allocated:
        """What is noted with the container; NOT_ALLOCATED while it has none yet."""
        return Allocated(self.cpus, self.exclusive) if self.cpus else NOT_ALLOCATED
