"""What the whole machine uses. Source: proc(5), the kernel's Documentation/accounting/psi.rst."""

from __future__ import annotations

import os
from typing import NamedTuple

from koordnri.host.usage.counters import CounterFile, average_10s
from koordnri.host.usage.files import UsageFiles

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_TIMES = 8
"""user nice system idle iowait irq softirq steal; guests' time is part of user's"""


class MachineTimes(NamedTuple):
    """Since boot, in s over all CPUs; None when unknown."""

    busy_s: float | None
    stolen_s: float | None
    """given to others by the hypervisor"""


class MachineFiles:
    """The machine's files of counters. Never raises."""

    def __init__(self, files: UsageFiles) -> None:
        self._stat, self._memory = CounterFile(files.in_proc("stat")), CounterFile(files.in_proc("meminfo"))
        self._pressure = {name: CounterFile(files.in_proc(f"pressure/{name}")) for name in ("cpu", "memory", "io")}

    def times(self) -> MachineTimes:
        """The machine's CPU time until now."""
        words = self._stat.read().partition(b"\n")[0].split()[1 : 1 + _TIMES]
        if len(words) < _TIMES or not all(map(bytes.isdigit, words)):
            return MachineTimes(None, None)
        ticks = [int(word) for word in words]
        idle = ticks[_IDLE] + ticks[_IOWAIT] + ticks[_STEAL]
        return MachineTimes((sum(ticks) - idle) / _TICKS_PER_S, ticks[_STEAL] / _TICKS_PER_S)

    def memory(self) -> tuple[int, int | None]:
        """(capacity, used) in bytes: MemTotal, and without MemAvailable; (0, None) when unknown.

        Neither has memory that is set aside as huge pages. Only who asked for them can use it, so nobody else can release it.
        """
        data = self._memory.read()
        total, available = _kib(data, b"MemTotal:"), _kib(data, b"MemAvailable:")
        if total is None:
            return 0, None
        total -= _kib(data, b"Hugetlb:") or 0
        return total, None if available is None else max(total - available, 0)

    def pressure(self, what: str) -> float | None:
        """Percent of the last 10 s in which at least one task waited for `cpu`, `memory` or `io`; None without PSI."""
        return average_10s(self._pressure[what].read())

    def close(self) -> None:
        """Give the descriptors back."""
        for file in (self._stat, self._memory, *self._pressure.values()):
            file.close()


def _kib(data: bytes, key: bytes) -> int | None:
    start = data.find(key)
    words = data[start + len(key) :].split(None, 1) if start >= 0 else []
    return int(words[0]) * 1024 if words and words[0].isdigit() else None
