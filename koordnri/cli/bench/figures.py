"""How `bench` summarises its measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median


class BenchError(Exception):
    """The daemon did not do what was expected; the message says what, or has the end of its log."""


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99, rounded to a tenth, each a measured value without interpolation. All 0 when there are none."""
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: round(ordered[round(share * last)], 1) if ordered else 0.0 for name, share in shares.items()}


def spread(values: Iterable[float], digits: int) -> dict[str, float]:
    """Smallest, median and largest of a few repetitions."""
    some = list(values)
    return {
        "min": round(min(some), digits),
        "p50": round(median(some), digits),
        "max": round(max(some), digits),
    }
