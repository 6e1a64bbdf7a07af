"""The figures of one row of `koordnri top`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from koordnri.cli.top_sample import UsageReading
from koordnri.host.usage.waiting import waited_ns


class Figures(NamedTuple):
    """None: not known, or no such limit."""

    used_milli: float | None = None
    requested_milli: float | None = None
    given_milli: float | None = None
    throttled_ms_per_s: float | None = None
    waiting_ms_per_s: float | None = None
    """ms per s that threads were ready to run and had no CPU, summed over the threads"""
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None
    memory: float | None = None
    memory_min: float | None = None
    memory_high: float | None = None
    read_per_s: float | None = None
    written_per_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape of `koordnri top -o json`."""
        return {
            "cpu": {
                "usedMilli": _rounded(self.used_milli),
                "requestedMilli": self.requested_milli,
                "givenMilli": self.given_milli,
                "throttledMsPerS": _rounded(self.throttled_ms_per_s),
                "waitingMsPerS": _rounded(self.waiting_ms_per_s),
            },
            "pressurePercent": {"cpu": self.cpu_pressure, "memory": self.memory_pressure, "io": self.io_pressure},
            "memory": {"usedBytes": self.memory, "minBytes": self.memory_min, "highBytes": self.memory_high},
            "io": {"readBytesPerS": _rounded(self.read_per_s), "writtenBytesPerS": _rounded(self.written_per_s)},
        }


def between(before: UsageReading | None, after: UsageReading) -> Figures:
    """What a cgroup used between two readings; without the first one only what one reading shows."""
    now = after.usage
    figures = Figures(
        cpu_pressure=now.pressure.cpu,
        memory_pressure=now.pressure.memory,
        io_pressure=now.pressure.io,
        memory=now.memory.used,
        memory_min=now.memory.min,
        memory_high=now.memory.high,
    )
    if before is None or after.at_s <= before.at_s:
        return figures
    then, seconds = before.usage, after.at_s - before.at_s
    waited = None
    if then.waiting is not None and now.waiting is not None:
        waited = waited_ns(then.waiting, now.waiting) / 1e6 / seconds
    return figures._replace(
        used_milli=_rate(then.cpu.used_us, now.cpu.used_us, seconds * 1000),
        throttled_ms_per_s=_rate(then.cpu.throttled_us, now.cpu.throttled_us, seconds * 1000),
        waiting_ms_per_s=waited,
        read_per_s=None if then.io is None or now.io is None else _rate(then.io.read, now.io.read, seconds),
        written_per_s=None if then.io is None or now.io is None else _rate(then.io.written, now.io.written, seconds),
    )


def added(rows: Iterable[Figures]) -> Figures:
    """The sum of several rows; of pressures, the highest. Unknown ones count as nothing, except that no limit of one is none of all."""
    columns = {name: [getattr(row, name) for row in rows] for rows in (list(rows),) for name in Figures._fields}
    figures = {name: _sum(column) for name, column in columns.items()}
    for name in ("cpu_pressure", "memory_pressure", "io_pressure"):
        figures[name] = max((value for value in columns[name] if value is not None), default=None)
    for name in ("given_milli", "memory_high"):
        figures[name] = None if None in columns[name] else figures[name]
    return Figures(**figures)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rate(before: int | None, after: int | None, divisor: float) -> float | None:
    """The growth of a counter. It is less than before only in another cgroup of the same name."""
    return None if before is None or after is None else max(after - before, 0) / divisor


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
