"""How long to wait before the next attempt: doubling, capped, jittered."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds, doubling from `first_s` to `cap_s`. Random jitter (half to all of a delay) spreads a cluster's nodes."""

    def __init__(self, first_s: float, cap_s: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._uniform = uniform
        self._next_s = first_s

    def next(self) -> float:
        """The delay before the next attempt; the one after it is twice as long."""
        delay = self._next_s
        self._next_s = min(delay * 2, self._cap_s)
        return self._uniform(delay / 2, delay)

    def reset(self) -> None:
        """An attempt succeeded: start again from `first_s`."""
        self._next_s = self._first_s
