"""What one container has for itself, and how that is noted with it."""

from __future__ import annotations

from typing import NamedTuple, cast

from koordnri.cpus.choice import Exclusive
from koordnri.model.cpuset import CPUSet
from koordnri.model.resource_spec import EXCLUSIVES

NO_CPUS = CPUSet()


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

    def __str__(self) -> str:
        """As it is noted with the container: `2-3 PCPULevel`. "" while it has none yet."""
        return f"{self.cpus} {self.exclusive}".rstrip() if self.cpus else ""


def read_note(text: str) -> tuple[CPUSet, Exclusive] | None:
    """Inverse of `str(Holding)`; None for a text that is no such note: the pod's owner may write one, too."""
    listed, _, exclusive = text.partition(" ")
    if exclusive not in ("", *EXCLUSIVES):
        return None
    try:
        cpus = CPUSet.parse(listed)
    except ValueError:
        return None
    return (cpus, cast("Exclusive", exclusive)) if cpus else None
