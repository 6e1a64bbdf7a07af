"""A clock that jumps from one appointment to the next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Clock:
    """`now` in s. What is due at the same moment runs in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def read(self) -> float:
        """`now`, as time.monotonic is called."""
        return self.now

    def at(self, when_s: float, act: Callable[[], None]) -> None:
        """Call `act` at that time; at once if it is over."""
        heapq.heappush(self._due, (max(when_s, self.now), next(self._numbers), act))

    def after(self, pause_s: float, act: Callable[[], None]) -> None:
        """Call `act` when this time (s) is over."""
        self.at(self.now + pause_s, act)

    def run(self, until_s: float) -> None:
        """Let the time pass until then."""
        while self._due and self._due[0][0] <= until_s:
            self.now, _, act = heapq.heappop(self._due)
            act()
        self.now = until_s
