"""CPU time of a cgroup. Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.cgroup.paths import inner_directory
from koordnri.host.usage.files import UsageFiles

_SCOPE = ".scope"


class CPUTime(NamedTuple):
    """Since the cgroup was made, in µs; None when unknown."""

    used_us: int | None
    """with all cgroups below it"""
    throttled_us: int | None
    """of the cgroup itself: how long threads waited for the next period, because the quota was used up; summed over the CPUs"""


def read_cpu(files: UsageFiles, directory: str) -> CPUTime:
    """The cgroup's CPU time until now."""
    stat = files.numbers("cpu", directory, "cpu.stat") or {}
    if files.version == 1:
        used_ns, throttled_ns = files.number("cpuacct", directory, "cpuacct.usage"), stat.get("throttled_time")
        return CPUTime(_us(used_ns), _us(throttled_ns))
    throttled = stat.get("throttled_usec")
    if throttled is not None and directory.endswith(_SCOPE):
        # crun under systemd sets the quota on both levels; threads wait on the one that is used up first.
        inner = files.numbers("cpu", inner_directory(directory), "cpu.stat") or {}
        throttled = max(throttled, inner.get("throttled_usec", 0))
    return CPUTime(stat.get("usage_usec"), throttled)


def _us(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000
