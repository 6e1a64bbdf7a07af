"""What the service and batch did within one window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Moment(NamedTuple):
    """One window."""

    number: int
    """1 for the first"""
    p50_ms: float
    p99_ms: float
    worst_ms: float
    dropped: int
    """requests that the service did not answer, because it was more than a window late"""
    batch_cores: float
    """CPUs that batch used"""
    on: frozenset[str]
    """keys of the switches that were on"""


def moment(window: Mapping[str, Any], batch_cores: float, on: frozenset[str]) -> Moment:
    """From a window as `inside.serve` writes it."""
    took_s: Sequence[float] = sorted(window["took_s"]) or [0.0]
    last = len(took_s) - 1
    p50, p99 = (took_s[round(share * last)] * 1e3 for share in (0.5, 0.99))
    return Moment(window["number"], p50, p99, took_s[-1] * 1e3, window["dropped"], batch_cores, on)
