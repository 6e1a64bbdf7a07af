"""Exclusive CPUs of containers, and their text in a container's note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from koordnri.model.allocated import NOT_ALLOCATED, Allocated, Exclusive
from koordnri.model.cpuset import NO_CPUS, CPUSet


class Holding(NamedTuple):
    """One container's exclusive CPUs."""

    cpus: CPUSet
    exclusive: Exclusive = ""
    lse: bool = False
    coming: CPUSet = NO_CPUS
    """further CPUs, reserved: the container gets them when all others have left them"""
    spent: bool = False
    """whether its container was an init container and has ended: the pod's next containers use the CPUs again"""

    @property
    def all(self) -> CPUSet:
        """All CPUs that nobody else gets."""
        return self.cpus | self.coming

    @property
    def allocated(self) -> Allocated:
        """What the container's note says; NOT_ALLOCATED while it has none yet."""
        return Allocated(self.cpus, self.exclusive) if self.cpus else NOT_ALLOCATED

    def within(self, usable: CPUSet) -> Holding:
        """The part of it that can be used."""
        return self if self.all <= usable else self._replace(cpus=self.cpus & usable, coming=self.coming & usable)


Holdings = Mapping[str, Mapping[str, Holding]]
"""Key of the pod → container name → its holding"""
