"""What a list and watch wants done next: one of two steps. Whoever does them has the socket and the clock, so the rest needs neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


def _ignore() -> None:
    pass


class Request(NamedTuple):
    """GET the resource with this query, and pass the answer to `feed` piece by piece, until it ends."""

    query: Mapping[str, str]
    read_s: float
    """longest wait (s) for the head of the answer, and for each piece"""
    within_s: float | None
    """longest time (s) for the whole answer; None: a watch, which lasts"""
    feed: Callable[[bytes], None]
    """Raises KubeError; then the rest of the answer is not wanted."""
    opened: Callable[[], None] = _ignore
    """called when the head has come"""


class Wait(NamedTuple):
    """Let this time pass."""

    pause_s: float


Step = Request | Wait
