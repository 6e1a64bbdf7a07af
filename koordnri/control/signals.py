"""What the sampler measured at one tick. Immutable; controllers read nothing else about usage.

A figure is None when it cannot be known: the file is missing on this kernel, the cgroup has just been made, or it has just gone. Rates are
averages since the tick before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from koordnri.control.class_requests import NO_CLASS_REQUESTS, ClassRequests
from koordnri.model import CPUSet, Pod
from koordnri.model.resources import NOTHING, Resources


@dataclass(frozen=True, slots=True)
class Load:
    """What one cgroup used, with all cgroups below it. 1 core = one CPU that is busy all the time."""

    used_cores: float | None = None
    throttled_ratio: float | None = None
    """throttled CFS periods / all CFS periods since the tick before, 0 to 1; None without a quota"""
    throttled_s: float | None = None
    """s per s that threads were held back by the quota, summed over CPUs"""
    waited_cores: float | None = None
    """s per s that runnable threads waited for a CPU, summed over threads (run_delay)"""
    cpu_pressure: float | None = None
    """percent of the last 10 s in which at least one thread waited for a CPU (PSI some avg10)"""
    memory_pressure: float | None = None
    """the same for memory"""
    io_pressure: float | None = None
    """the same for I/O"""
    memory_bytes: int | None = None
    """working set"""
    memory_high_events: float | None = None
    """times per s that memory.high was exceeded"""
    refaults: float | None = None
    """file pages per s that were read again soon after they had been reclaimed"""
    read_bytes_s: float | None = None
    """bytes per s read from disks"""
    written_bytes_s: float | None = None
    """bytes per s written to disks"""
    memory_charged_bytes: int | None = None
    """the working set, and file pages that the kernel drops first: what memory.high bounds"""


@dataclass(frozen=True, slots=True)
class ContainerSignals:
    """One running container."""

    id: str
    name: str
    load: Load
    baseline: Resources = NOTHING
    """what kubelet asked for"""
    cpu_limit_milli: int | None = None
    """CPU limit of its baseline or, without one, of its spec; None: no limit"""
    cpus: CPUSet | None = None
    """CPUs that it may run on; None: unknown"""


@dataclass(frozen=True, slots=True)
class PodSignals:
    """One pod with at least one running container."""

    pod: Pod
    load: Load
    containers: tuple[ContainerSignals, ...] = ()
    cpu_request_milli: int = 0
    """requested CPU; for BE pods their batch-cpu; 0: none, or unknown"""
    memory_request_bytes: int = 0
    """requested memory; for BE pods their batch-memory"""
    priority: int | None = None
    """`spec.priority`; None without the API server"""
    class_requests: ClassRequests = NO_CLASS_REQUESTS
    """mid or batch resources that it requests, by its priority class"""


@dataclass(frozen=True, slots=True)
class Signals:
    """The whole node at one tick."""

    at_s: float
    """monotonic clock"""
    interval_s: float
    """since the tick before"""
    cpus: CPUSet
    """online CPUs"""
    node: Load
    """the whole machine, work outside of pods included; its memory is MemTotal - Hugetlb - MemAvailable"""
    memory_capacity_bytes: int
    pods: Mapping[str, PodSignals] = field(default_factory=dict)
    """uid → pod"""
    host_applications: Mapping[str, Load] = field(default_factory=dict)
    """name in `host-application-config` → what its cgroup used"""
    stolen_cores: float | None = None
    """CPUs that the hypervisor gave to others (steal)"""
    reserved_milli: int = 0
    """CPU that the node reserves for itself: the most of kubelet's reservation and the Node's annotation"""
    be_allocatable_milli: int | None = None
    """batch-cpu that the Node offers; None: none, or unknown"""
    be_allocatable_bytes: int | None = None
    """the same of batch-memory"""
    mid_allocatable_milli: int | None = None
    """the same of mid-cpu"""
    mid_allocatable_bytes: int | None = None
    """the same of mid-memory"""
