"""How long a watch waits before its next attempt: doubling, capped, jittered."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.kube.timing import Timing

Uniform = Callable[[float, float], float]
"""random.uniform, or a test's stand-in"""


class Pauses:
    """The pauses of one streak of failures, in seconds. `uniform` keeps the nodes of a cluster apart."""

    def __init__(self, timing: Timing, uniform: Uniform) -> None:
        self._timing = timing
        self._uniform = uniform
        self.failures = 0
        """in a row"""

    def next(self, retry_after_s: float | None = None) -> float:
        """After a failure. A server that named a time is left alone for at least that time."""
        timing = self._timing
        # 2**30 seconds is beyond any cap, and beyond 2**1000 the float would overflow.
        longest = min(timing.first_pause_s * 2 ** min(self.failures, 30), timing.longest_pause_s)
        self.failures += 1
        pause = self._uniform(longest / 2, longest)
        return pause if retry_after_s is None else min(retry_after_s, timing.longest_retry_after_s) + pause

    def reset(self) -> None:
        """The server has served us."""
        self.failures = 0
