"""How long a watch waits before its next attempt: the pause doubles, is capped and jittered."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.kube.timing import Timing

Uniform = Callable[[float, float], float]
"""random.uniform, or a test's stand-in"""


class Pauses:
    """The pauses (s) of one streak of failures. `uniform` draws the jitter, which spreads a cluster's nodes."""

    def __init__(self, timing: Timing, uniform: Uniform) -> None:
        self._timing = timing
        self._uniform = uniform
        self.failures = 0
        """failures in a row"""

    def next(self, retry_after_s: float | None = None) -> float:
        """The pause after a failure. If the server named a time, the pause is at least that."""
        timing = self._timing
        # Bounded exponent: 2**30 s is above any cap, and 2**1024 would overflow a float.
        longest = min(timing.first_pause_s * 2 ** min(self.failures, 30), timing.longest_pause_s)
        self.failures += 1
        pause = self._uniform(longest / 2, longest)
        return pause if retry_after_s is None else min(retry_after_s, timing.longest_retry_after_s) + pause

    def reset(self) -> None:
        """The server answered: the streak is over."""
        self.failures = 0
