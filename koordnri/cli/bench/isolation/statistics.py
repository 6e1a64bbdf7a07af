"""From the requests of a service to percentiles, from rounds to medians and quartiles, and which rounds count."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from koordnri.cli.bench.isolation.plan import ALONE

WINDOW_S = 0.1
UNSTABLE = 2.0
"""A round is thrown away when `alone` has a p99 of so many times the median one, …"""
BUSY = 1.5
"""… or when `alone` half of the requests took so many times the CPU time of a request: they waited for a CPU."""
SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "p99.9_ms": 0.999}
WORST = "worst_window_ms"


class Quartiles(NamedTuple):
    """Of one figure over the rounds."""

    q1: float
    median: float
    q3: float


Figures = Mapping[str, float]
"""name of a figure → its value in one round of one arm"""
Round = Mapping[str, Figures]
"""arm → its figures"""


def latencies(due_s: Sequence[float], took_s: Sequence[float]) -> dict[str, float]:
    """Percentiles of how long requests took, each a measured value, and the worst mean of all requests within 100 ms. In ms."""
    ordered = sorted(took_s)
    last = len(ordered) - 1
    figures = {name: ordered[round(share * last)] * 1e3 for name, share in SHARES.items()}
    windows: dict[int, list[float]] = {}
    for due, took in zip(due_s, took_s, strict=True):
        windows.setdefault(int(due / WINDOW_S), []).append(took)
    figures[WORST] = max(statistics.fmean(window) for window in windows.values()) * 1e3
    return figures


def quartiles(values: Iterable[float]) -> Quartiles:
    """Of at least one value."""
    some = list(values)
    if len(some) == 1:
        return Quartiles(some[0], some[0], some[0])
    return Quartiles(*statistics.quantiles(some, n=4, method="inclusive"))


def unstable(rounds: Sequence[Round], reads: bool = False) -> dict[int, str]:
    """Rounds to throw away, by their place → why: something else disturbed the service even while it was alone.

    reads   whether requests read files, so that they take longer than they use a CPU
    """
    usual = statistics.median(one[ALONE]["p99_ms"] for one in rounds)
    found = {place: _disturbed(one[ALONE], usual, reads) for place, one in enumerate(rounds)}
    return {place: f"round {place + 1}: {why}" for place, why in found.items() if why}


def _disturbed(alone: Figures, usual: float, reads: bool) -> str:
    if alone["p99_ms"] > UNSTABLE * usual:
        return f"alone, p99 was {alone['p99_ms']:.2f} ms, and {usual:.2f} ms is usual here"
    if not reads and alone["p50_ms"] > BUSY * alone["request_cpu_ms"]:
        used = alone["request_cpu_ms"]
        return f"alone, p50 was {alone['p50_ms']:.2f} ms, and a request takes {used:.2f} ms of CPU: others use the CPUs"
    return ""


def summary(rounds: Sequence[Round]) -> dict[str, dict[str, Quartiles]]:
    """Arm → figure → its quartiles over the rounds that have it."""
    names = {arm: dict.fromkeys(name for one in rounds for name in one[arm]) for arm in rounds[0]}
    return {
        arm: {name: quartiles(one[arm][name] for one in rounds if name in one[arm]) for name in of}
        for arm, of in names.items()
    }
