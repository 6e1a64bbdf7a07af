"""How often something may be done: so many at once, and so many per second after that."""

from __future__ import annotations


class TokenBucket:
    """Empty at `began_s`, so that who begins again and again gets no more than who goes on. Time comes with the calls: monotonic s."""

    def __init__(self, began_s: float) -> None:
        self._tokens = 0.0
        self._filled_s = began_s

    def fill(self, at_s: float, burst: int, per_s: float) -> int:
        """Add what has come since the last call. Returns how many may be taken now."""
        self._tokens = min(float(burst), self._tokens + max(0.0, at_s - self._filled_s) * per_s)
        self._filled_s = at_s
        # A hundredth forgives what floating point loses over many small steps.
        return int(self._tokens + 0.01)

    def take(self, count: int = 1) -> None:
        """Take tokens; no more than `fill` has returned."""
        self._tokens -= count
