"""Memory of a cgroup."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.usage.files import UsageFiles


class MemoryUse(NamedTuple):
    """Bytes, with all cgroups below it."""

    used: int | None
    """the working set, as `kubectl top` shows it: without file pages that the kernel can drop at once. None when unknown"""
    min: int | None
    """memory.min: what the kernel never takes away; None without that file"""
    high: int | None
    """memory.high: above it, the cgroup is slowed down; None for no such limit"""


def read_memory(files: UsageFiles, directory: str) -> MemoryUse:
    """The cgroup's memory now."""
    usage, inactive = ("memory.current", "inactive_file")
    if files.version == 1:
        usage, inactive = ("memory.usage_in_bytes", "total_inactive_file")
    used = files.number("memory", directory, usage)
    if used is not None:
        stat = files.numbers("memory", directory, "memory.stat") or {}
        used = max(used - stat.get(inactive, 0), 0)
    return MemoryUse(
        used, files.number("memory", directory, "memory.min"), files.number("memory", directory, "memory.high")
    )
