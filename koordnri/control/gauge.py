"""Measures one cgroup: reads its counters once per tick, and makes rates of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from koordnri.control.signals import Load
from koordnri.host.cgroup.paths import inner_directory
from koordnri.host.usage.counters import CounterFile, average_10s, disk_bytes, first_number, number_after
from koordnri.host.usage.files import UsageFiles

SLOW_TICKS = 4
"""Memory, pressure and I/O are read every so many ticks, each tick those of another part of the cgroups; in between the last figures
stay. They cost ten times as much as CPU time, and the kernel averages pressure over 10 s anyhow."""
NO_LOAD = Load()
_US = 1_000_000
_NS = 1_000_000_000
_PRESSURES = ("cpu.pressure", "memory.pressure", "io.pressure")


class Needs(NamedTuple):
    """What a tick must read of a cgroup. Each costs a file per cgroup, or a few."""

    cpu: bool = False
    """how much CPU it used"""
    throttling: bool = False
    memory: bool = False
    pressure: bool = False
    io: bool = False

    def __or__(self, other: object) -> Needs:
        """What either needs."""
        if not isinstance(other, Needs):
            return NotImplemented
        return Needs(*(a or b for a, b in zip(self, other, strict=True)))


class _Slow(NamedTuple):
    """The figures that are read every SLOW_TICKS; None when unknown."""

    memory: int | None = None
    charged: int | None = None
    high_events: float | None = None
    refaults: float | None = None
    read_bytes_s: float | None = None
    written_bytes_s: float | None = None
    pressure: tuple[float | None, float | None, float | None] = (None, None, None)


class Gauge:
    """One cgroup. Never raises.

    may_open    whether one more descriptor may stay open
    container   whether an OCI runtime may have made another level below it, with limits of its own (crun)
    turn        at which ticks it reads the slow figures
    """

    __slots__ = (
        *(
            "_at_s",
            "_files",
            "_per_s",
            "_slow",
            "_slow_at_s",
            "_slow_before",
            "_throttled",
            "_turn",
            "_used",
            "_version",
        ),
        *("descriptors", "directory", "needs", "waited_cores"),
    )

    def __init__(
        self,
        usage: UsageFiles,
        directory: str,
        needs: Needs,
        may_open: Callable[[], bool],
        *,
        container: bool = False,
        turn: int = 0,
    ) -> None:
        self.directory = directory
        self.needs = needs
        self.waited_cores: float | None = None
        """as in Load; set by whoever samples it"""
        self._version = usage.version
        self._per_s = _NS if usage.version == 1 else _US
        self._at_s = self._slow_at_s = float("-inf")
        self._used: int | None = None
        self._throttled: tuple[int, int, int] | None = None
        """periods, throttled periods, throttled time"""
        self._slow = _Slow()
        self._slow_before: tuple[int | None, ...] = ()
        self._turn = turn
        paths = _paths(usage, directory, needs, container=container)
        kept = {name: may_open() for name in paths}
        self._files = {name: CounterFile(path, keep_open=kept[name]) for name, path in paths.items()}
        self.descriptors = sum(kept.values())
        """number of files that it may keep open"""

    def load(self, now_s: float) -> Load:
        """What the cgroup uses now; its rates are since the last call."""
        took_s, self._at_s = now_s - self._at_s, now_s
        needs = self.needs
        used = throttled_ratio = throttled_s = None
        data = self._text("cpu.stat") if needs.throttling or (needs.cpu and self._version == 2) else b""
        if needs.cpu:
            before, now = (
                self._used,
                first_number(self._text("used")) if self._version == 1 else number_after(data, b"usage_usec"),
            )
            self._used = now
            if before is not None and now is not None and now >= before and took_s > 0:
                used = (now - before) / self._per_s / took_s
        if needs.throttling:
            past, self._throttled = self._throttled, self._throttling(data)
            if past is not None and self._throttled is not None and took_s > 0:
                here = self._throttled
                periods, throttled, time = here[0] - past[0], here[1] - past[1], here[2] - past[2]
                throttled_ratio = min(throttled / periods, 1.0) if periods > 0 and throttled >= 0 else None
                throttled_s = time / self._per_s / took_s if time >= 0 else None
        slow = self._slow_figures(now_s) if needs.memory or needs.pressure or needs.io else self._slow
        return Load(
            used_cores=used,
            throttled_ratio=throttled_ratio,
            throttled_s=throttled_s,
            waited_cores=self.waited_cores,
            cpu_pressure=slow.pressure[0],
            memory_pressure=slow.pressure[1],
            io_pressure=slow.pressure[2],
            memory_bytes=slow.memory,
            memory_charged_bytes=slow.charged,
            memory_high_events=slow.high_events,
            refaults=slow.refaults,
            read_bytes_s=slow.read_bytes_s,
            written_bytes_s=slow.written_bytes_s,
        )

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files.values():
            file.close()

    def _text(self, name: str) -> bytes:
        file = self._files.get(name)
        return b"" if file is None else file.read()

    def _throttling(self, data: bytes) -> tuple[int, int, int] | None:
        key = b"throttled_time" if self._version == 1 else b"throttled_usec"
        found = _throttled(data, key)
        if "inner" not in self._files:
            return found
        # crun under systemd sets the quota on both levels; threads wait on the one that is used up first.
        inner = _throttled(self._text("inner"), key)
        if found is None or inner is None:
            return found or inner
        return max(found[0], inner[0]), max(found[1], inner[1]), max(found[2], inner[2])

    def _slow_figures(self, now_s: float) -> _Slow:
        self._turn -= 1
        first = not self._slow_before
        if self._turn > 0 and not first:
            return self._slow
        if not first:
            self._turn = SLOW_TICKS
        took_s, self._slow_at_s = now_s - self._slow_at_s, now_s
        needs = self.needs
        memory = charged = None
        high = refaults = read = written = None
        if needs.memory:
            stat = self._text("memory.stat")
            charged = first_number(self._text("memory"))
            key = b"inactive_file" if self._version == 2 else b"total_inactive_file"
            memory = None if charged is None else max(charged - (number_after(stat, key) or 0), 0)
            high = number_after(self._text("memory.events"), b"high")
            refaults = number_after(stat, b"workingset_refault_file")
        if needs.io and (data := self._text("io")):
            read, written = disk_bytes(data)
        now, before = (high, refaults, read, written), self._slow_before or (None,) * 4
        self._slow_before = now
        rates = [_rate(a, b, took_s) for a, b in zip(before, now, strict=True)]
        pressures = [average_10s(self._text(name)) for name in _PRESSURES] if needs.pressure else [None] * 3
        self._slow = _Slow(
            memory, charged, rates[0], rates[1], rates[2], rates[3], (pressures[0], pressures[1], pressures[2])
        )
        return self._slow


def _paths(usage: UsageFiles, directory: str, needs: Needs, *, container: bool) -> dict[str, str]:
    """Name of a file in this module → its full path."""
    v1, path = usage.version == 1, usage.path
    found: dict[str, str] = {}
    if needs.cpu and v1:
        found["used"] = path("cpuacct", directory, "cpuacct.usage")
    if needs.throttling or (needs.cpu and not v1):
        found["cpu.stat"] = path("cpu", directory, "cpu.stat")
    if needs.throttling and container and not v1 and usage.exists(inner := inner_directory(directory)):
        found["inner"] = path("cpu", inner, "cpu.stat")
    if needs.memory:
        found["memory"] = path("memory", directory, "memory.usage_in_bytes" if v1 else "memory.current")
        found["memory.stat"] = path("memory", directory, "memory.stat")
        if not v1:
            found["memory.events"] = path("memory", directory, "memory.events")
    if needs.pressure:
        found |= {name: path("cpuacct", directory, name) for name in _PRESSURES}
    if needs.io:
        found["io"] = path("blkio", directory, "blkio.throttle.io_service_bytes_recursive" if v1 else "io.stat")
    return found


def _throttled(data: bytes, time_key: bytes) -> tuple[int, int, int] | None:
    """(periods, throttled periods, throttled time). The kernel gives the three in this order, so one search suffices."""
    start = data.find(b"nr_periods ")
    words = data[start:].split(None, 6) if start >= 0 else []
    if len(words) < 6 or words[2] != b"nr_throttled" or words[4] != time_key:
        return None
    try:
        return int(words[1]), int(words[3]), int(words[5])
    except ValueError:
        return None


def _rate(before: int | None, after: int | None, took_s: float) -> float | None:
    """Per s; None when unknown, or when the counter began again: the cgroup was made again under the same name."""
    return None if before is None or after is None or after < before or took_s <= 0 else (after - before) / took_s
