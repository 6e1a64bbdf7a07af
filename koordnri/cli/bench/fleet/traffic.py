"""What the API server had to do, second by second."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple


class Load(NamedTuple):
    """Of one span of time; `peak` is the busiest single second in it."""

    requests_per_s: float
    peak_requests_per_s: int
    bytes_per_s: float
    peak_bytes_per_s: int
    peak_cpus: float
    """CPU s per s"""
    refused: int
    """answers 429 in the whole span"""
    longest_wait_s: float
    """of a request, for a seat"""


class Traffic:
    """Counts per second of virtual time."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()
        self.cpu_s: defaultdict[int, float] = defaultdict(float)
        self.refused: Counter[int] = Counter()
        self.waits: dict[int, float] = {}

    def request(self, now_s: float, bytes_: int, cpu_s: float) -> None:
        """A request was answered."""
        second = int(now_s)
        self.requests[second] += 1
        self.sent(now_s, bytes_, cpu_s)

    def sent(self, now_s: float, bytes_: int, cpu_s: float) -> None:
        """Something was sent, unasked."""
        second = int(now_s)
        self.bytes[second] += bytes_
        self.cpu_s[second] += cpu_s

    def refusal(self, now_s: float) -> None:
        """A request was refused."""
        self.refused[int(now_s)] += 1

    def waited(self, now_s: float, wait_s: float) -> None:
        """A request had to wait for a seat."""
        second = int(now_s)
        self.waits[second] = max(self.waits.get(second, 0.0), wait_s)

    def load(self, from_s: int, to_s: int) -> Load:
        """Of the seconds from `from_s` up to `to_s`, which is not part of it."""
        seconds = range(from_s, to_s)
        requests = [self.requests[second] for second in seconds]
        sent = [self.bytes[second] for second in seconds]
        return Load(
            sum(requests) / len(seconds),
            max(requests),
            sum(sent) / len(seconds),
            max(sent),
            max(self.cpu_s[second] for second in seconds),
            sum(self.refused[second] for second in seconds),
            max(self.waits.get(second, 0.0) for second in seconds),
        )
