"""Everything that one cgroup uses."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.usage.cpu import CPUTime, read_cpu
from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.io import IOBytes, read_io
from koordnri.host.usage.memory import MemoryUse, read_memory
from koordnri.host.usage.pressure import Pressure, read_pressure
from koordnri.host.usage.waiting import Waiting, read_waiting


class Usage(NamedTuple):
    """One reading of one cgroup."""

    cpu: CPUTime
    memory: MemoryUse
    io: IOBytes | None
    pressure: Pressure
    waiting: Waiting | None


def read_usage(files: UsageFiles, directory: str, *, threads: bool) -> Usage | None:
    """What the cgroup uses; None when there is no such cgroup (any more).

    threads   whether to read how long each thread has waited, which costs a file per thread
    """
    if not files.exists(directory):
        return None
    usage = Usage(
        read_cpu(files, directory),
        read_memory(files, directory),
        read_io(files, directory),
        read_pressure(files, directory),
        read_waiting(files, directory) if threads else None,
    )
    return usage if files.exists(directory) else None
