"""What was found of one pod that waits: for what, why, and who used it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from koordnri.model import Pod

OUTSIDE = "outside of pods"
"""The suspect that is no pod: processes of the host."""


class Resource(StrEnum):
    """What the victim waited for."""

    CPU = "cpu"
    MEMORY = "memory"
    IO = "io"


class Cause(StrEnum):
    """Why it waited; `koordnri.control.neighbours` says when each holds."""

    THROTTLED = "throttled"
    STOLEN = "stolen"
    ITSELF = "itself"
    NEIGHBOUR = "neighbour"


class Suspect(NamedTuple):
    """Who used what the victim waited for: cores, bytes of memory, or bytes per s of I/O, by the resource."""

    name: str
    """namespace/name of the pod, or OUTSIDE"""
    uid: str
    """"" outside of pods"""
    best_effort: bool
    used: float
    requested: float

    @property
    def excess(self) -> float:
        """Used beyond its request."""
        return self.used - self.requested


class Finding(NamedTuple):
    """One victim over one window."""

    victim: Pod
    resource: Resource
    cause: Cause
    seconds: float
    """length of the window"""
    waited_percent: float
    """of the time that it ran or wanted to (CPU), of all time (memory, I/O)"""
    target_percent: int
    throttled_s: float
    """s per s"""
    stolen_cores: float
    suspects: tuple[Suspect, ...]

    def __str__(self) -> str:
        """One sentence for people, without the victim's name."""
        percents = f"{self.waited_percent:.0f} % of the time for {self.seconds:.0f} s (target {self.target_percent} %)"
        waited = f"{_WAITED[self.resource]} {percents}"
        if self.cause is Cause.NEIGHBOUR:
            used = ", ".join(map(self._used, self.suspects))
            return f"{waited}, while others used {'' if self.resource is Resource.IO else 'more than they request: '}{used}"
        return f"{waited}: {self._why()}"

    def _why(self) -> str:
        if self.cause is Cause.THROTTLED:
            return f"its own CPU limit held it back, {self.throttled_s:.2f} s per s"
        if self.cause is Cause.STOLEN:
            return f"the hypervisor gave {self.stolen_cores:.1f} of the node's CPUs to other machines"
        return "nobody else used more beyond its request than the pod itself, or it is at its own limit"

    def _used(self, one: Suspect) -> str:
        if self.resource is Resource.CPU:
            return f"{one.name} {one.used:.2f} CPUs (requests {one.requested:.2f})"
        if self.resource is Resource.MEMORY:
            return f"{one.name} {one.used / (1 << 20):.0f} MiB (requests {one.requested / (1 << 20):.0f})"
        return f"{one.name} {one.used / (1 << 20):.1f} MiB/s of disks"


_WAITED = {Resource.CPU: "waited for a CPU", Resource.MEMORY: "stalled on memory", Resource.IO: "stalled on I/O"}
