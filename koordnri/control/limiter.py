"""How long a container may use more than its CPU limit: `cfsQuotaBurstPeriodSeconds`, koordlet's token bucket.

Tokens are percents of the limit times seconds. A container at the full burst uses the bucket up within the period. Between 60 % and 100 %
of the limit nothing changes; below, unused time is saved.
"""

from __future__ import annotations

SAVING_PERCENT = 60
"""Usage below this part of the limit fills the bucket."""
FULL_PERCENT = 100
MOST_AT_FIRST = 0.5
"""A bucket is filled by a random part below this at first, so that not all containers of a new node burst at once."""


class BurstLimiter:
    """The bucket of one container.

    capacity   period in s × (cfsQuotaBurstPercent − 100); 0: the container never bursts
    filled     how full it is at first, 0 to 1
    """

    __slots__ = ("_at_s", "capacity", "tokens")

    def __init__(self, capacity: float, filled: float, at_s: float) -> None:
        self.capacity = capacity
        self.tokens = capacity * filled
        self._at_s = at_s

    def allows(self, percent: float, at_s: float) -> bool:
        """Whether the container may burst now. It used `percent` of its limit since the time before; `at_s`: monotonic clock."""
        passed_s = max(at_s - self._at_s, 0.0)
        self._at_s = at_s
        if percent >= FULL_PERCENT or percent < SAVING_PERCENT:
            change = (FULL_PERCENT - percent) * passed_s
            self.tokens = min(max(self.tokens + change, -self.capacity), self.capacity)
        return self.tokens > 0
