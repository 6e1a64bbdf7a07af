"""`koordnri-config.controllers`: which feedback controllers run. What they do stands under Koordinator's own keys, where it has one."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from koordnri.model.qos import QoSClass
from koordnri.policy.reader import Document
from koordnri.policy.units import Percent

ControllerMode = Literal["enforce", "observe", "off"]
NoisyNeighbour = Literal["off", "report", "suppress", "evict"]


class ControllerOptions(Document, frozen=True, forbid_unknown_fields=True):
    """Options of every controller."""

    mode: ControllerMode = "off"
    """observe: what it would do is logged and counted, and not done. off: it does not run. In both modes, what it set before is given
    back."""


class MemoryHighOptions(ControllerOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the memory staircase."""

    available_percent: Percent = 10
    """Memory is short while less than this percent of the node's memory without huge pages is available (MemAvailable of /proc/meminfo).
    0: not by this."""
    pressure_percent: Percent = 10
    """Memory is also short while work other than best-effort stalls on memory for this percent of the last 10 s, where the kernel has
    pressure stall information (PSI). 0: not by this."""
    stall_percent: Annotated[int, Meta(ge=1, le=100)] = 20
    """A best-effort container that stalls on memory for this percent of the last 10 s is lowered no further, and gets a step back."""


class WaitTargets(Document, frozen=True, forbid_unknown_fields=True):
    """Targets of QoS classes. Pods without the label count as LSR (Guaranteed) or LS (Burstable); best-effort pods have none."""

    lse: Percent = 5
    """Percent of the time in which a pod runs or wants to that it may wait for a CPU; and of all time that it may stall on memory, or on
    I/O."""
    lsr: Percent = 10
    """The same for LSR."""
    ls: Percent = 20
    """The same for LS."""
    system: Percent = 20
    """The same for SYSTEM."""

    def of(self, qos: QoSClass) -> int:
        """The target of a class; of any other class that of LS."""
        by_class = {QoSClass.LSE: self.lse, QoSClass.LSR: self.lsr, QoSClass.SYSTEM: self.system}
        return by_class.get(qos, self.ls)


class EvictOptions(ControllerOptions, frozen=True, forbid_unknown_fields=True):
    """Options of the controller `evict`."""

    per_minute: Annotated[int, Meta(ge=1, le=60)] = 6
    """Pods that this node evicts in a minute at most, after the first `burst`."""
    burst: Annotated[int, Meta(ge=1, le=100)] = 3
    """Pods that it may evict at once, when neither its last eviction nor the daemon's start was a short while ago."""
    memory_pressure_percent: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Also evict a BE pod, every 20 s at most, when some thread of the node waited for memory in so many percent of the last 10 s (PSI),
    and not at its pod's own limit. None: memory usage alone counts."""


class Controllers(Document, frozen=True, forbid_unknown_fields=True):
    """Controller → options. A controller that is not off still does nothing until the policy asks for it under its own key."""

    cpu_suppress: ControllerOptions = ControllerOptions(mode="enforce")
    """Gives best-effort work what services leave of the CPUs: `resource-threshold-config` with `enable`."""
    quota_burst: ControllerOptions = ControllerOptions(mode="enforce")
    """Raises the CFS quota of throttled containers: `cpu-burst-config` with policy auto or cfsQuotaBurstOnly."""
    evict: EvictOptions = EvictOptions()
    """Evicts pods through the API server: `resource-threshold-config` with `enable`. Off unless asked for, as in koordlet."""
    memory_high: MemoryHighOptions = MemoryHighOptions()
    """Lowers memory.high of best-effort containers step by step while memory is short: every 5 s by 5 % of what they use, to half of
    it at most, and never below a container's memory request, memory.min and memory.low."""
    noisy_neighbour: NoisyNeighbour = field(default="off", name="noisyNeighbour")
    """Names the pods whose use of CPU, memory or disks makes others wait. report: an Event; suppress: also holds best-effort work
    down while a service waits for CPU; evict: also evicts the first suspect that the rules of `evict` allow."""
    wait_targets: WaitTargets = WaitTargets()
    """How long a pod may wait before `noisyNeighbour` looks for who makes it wait."""
