"""How long to wait before the next attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from koordnri.transport.backoff import Backoff


def test_the_delay_doubles_up_to_the_cap_and_starts_again_after_a_success():
    backoff = Backoff(1.0, 10.0, lambda low, high: high)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert [backoff.next() for _ in range(2)] == [1, 2]


def test_the_jitter_is_between_a_half_and_the_whole():
    asked: list[tuple[float, float]] = []

    def lowest(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    backoff = Backoff(0.1, 1.0, lowest)
    delays = [backoff.next() for _ in range(5)]
    assert asked == [(0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.8), (0.5, 1.0)]
    assert delays == [low for low, _ in asked], "the jitter does not slow the doubling"


@given(st.integers(1, 200))
def test_the_real_jitter_stays_within_its_bounds_for_ever(attempts):
    backoff = Backoff(0.1, 60.0)
    delays = [backoff.next() for _ in range(attempts)]
    assert all(0.05 <= delay <= 60.0 for delay in delays)
    assert delays[0] <= 0.1
