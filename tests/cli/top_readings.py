"""Readings of cgroups, and pods for rows of `koordnri top`."""

from __future__ import annotations

from typing import Any

from koordnri.cli.top_rows import Row, rows_of
from koordnri.cli.top_sample import UsageReading, UsageSample
from koordnri.host.usage.cpu import CPUTime
from koordnri.host.usage.io import IOBytes
from koordnri.host.usage.memory import MemoryUse
from koordnri.host.usage.pressure import Pressure
from koordnri.host.usage.usage import Usage

MIB = 1 << 20
NO_PRESSURE = Pressure(None, None, None)


def reading(
    at_s: float,
    used_us: int | None = 0,
    throttled_us: int | None = None,
    memory: int | None = None,
    waiting: dict[int, int] | None = None,
    io: IOBytes | None = None,
    pressure: Pressure = NO_PRESSURE,
) -> UsageReading:
    return UsageReading(
        at_s, Usage(CPUTime(used_us, throttled_us), MemoryUse(memory, None, None), io, pressure, waiting)
    )


def container(name: str, cgroup: str, given: int | None = None, cpus: str = "", requested: int | None = None) -> Any:
    return {
        "name": name,
        "id": cgroup,
        "cgroup": cgroup,
        "requestedMilli": requested,
        "givenMilli": given,
        "cpus": cpus,
        "exclusive": bool(cpus),
    }


def pod(name: str, *containers: Any, qos: str = "LS") -> Any:
    return {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "class": qos,
        "kubeQoS": "Burstable",
        "cgroup": name,
        "containers": list(containers),
    }


def rows(
    pods: list[Any], before: dict[str, UsageReading], after: dict[str, UsageReading], key: str = "cpu"
) -> list[Row]:
    return rows_of(UsageSample("n", pods, before), UsageSample("n", pods, after), key)


def shown(classes: list[Row]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    return [(c.name, [(p.name, [one.name for one in p.below]) for p in c.below]) for c in classes]


def cpu_of(classes: list[Row]) -> list[tuple[str, float | None]]:
    return [(row.name, row.figures.used_milli) for row in classes]


BUSY = [
    pod("idle", container("main", "i1")),
    pod("web", container("proxy", "w1"), container("main", "w2")),
    pod("job", container("main", "j1"), qos="BE"),
]
BEFORE = {name: reading(0.0) for name in ("idle", "i1", "web", "w1", "w2", "job", "j1")}
USED = {"idle": 1000, "i1": 500, "web": 9000, "w1": 1000, "w2": 7000, "job": 90_000, "j1": 90_000}
MEMORY = {"idle": 9 * MIB, "i1": 1, "web": 2 * MIB, "w1": 5, "w2": 3, "job": MIB, "j1": 1}
AFTER = {name: reading(1.0, us, memory=MEMORY[name]) for name, us in USED.items()}
