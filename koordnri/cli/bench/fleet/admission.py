"""How an API server lets requests in: so many seats at once, a queue behind them, and 429 for the rest. Then so many CPUs.

After Kubernetes' API Priority and Fairness, for one flow: all daemons are the same user. When a request comes, its fate is computed at
once, since those before it do not change any more.
"""

from __future__ import annotations

import heapq
from collections import deque

from koordnri.cli.bench.fleet.costs import Limits


class TooMany(Exception):
    """The request is refused with 429 at `at_s`."""

    def __init__(self, at_s: float) -> None:
        super().__init__(at_s)
        self.at_s = at_s


class Admission:
    """`admit` in the order of arrival."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seats = [0.0] * limits.seats
        """when each is free; a heap"""
        self._cpus = [0.0] * limits.cpus
        self._waiting: deque[float] = deque()
        """when those that wait will begin, in order"""

    def admit(self, now_s: float, seats: int, cpu_s: float) -> tuple[float, float]:
        """(when it begins, when it is answered), in s. Raises TooMany."""
        waiting = self._waiting
        while waiting and waiting[0] <= now_s:
            waiting.popleft()
        if len(waiting) >= self._limits.queue:
            raise TooMany(now_s)
        taken = [heapq.heappop(self._seats) for _ in range(seats)]
        begins_s = max(now_s, taken[-1], waiting[-1] if waiting else 0.0)
        if begins_s - now_s > self._limits.longest_wait_s:
            for free_s in taken:
                heapq.heappush(self._seats, free_s)
            raise TooMany(now_s + self._limits.longest_wait_s)
        if begins_s > now_s:
            waiting.append(begins_s)
        ends_s = self.work(begins_s, cpu_s)
        for _ in taken:
            heapq.heappush(self._seats, ends_s)
        return begins_s, ends_s

    def work(self, from_s: float, cpu_s: float) -> float:
        """Use a CPU from then on, without a seat. Returns when it is done."""
        ends_s = max(from_s, self._cpus[0]) + cpu_s
        heapq.heapreplace(self._cpus, ends_s)
        return ends_s
