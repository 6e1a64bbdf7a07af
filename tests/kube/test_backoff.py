"""How long a watch waits before its next attempt."""

from __future__ import annotations

import pytest

from koordnri.kube.backoff import Pauses
from koordnri.kube.timing import Timing

TIMING = Timing(first_pause_s=1.0, longest_pause_s=30.0, longest_retry_after_s=60.0)


def longest(low_s: float, high_s: float) -> float:
    assert low_s == high_s / 2, "the jitter takes half of the pause at most"
    return high_s


def test_the_pause_doubles_up_to_its_cap_and_starts_again_after_an_answer() -> None:
    pauses = Pauses(TIMING, longest)
    assert [pauses.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    pauses.reset()
    assert pauses.next() == 1


def test_a_streak_of_any_length_has_a_pause() -> None:
    pauses = Pauses(TIMING, longest)
    pauses.failures = 100_000
    assert pauses.next() == 30


@pytest.mark.parametrize(("named_s", "expected_s"), [(None, 1.0), (5.0, 6.0), (3600.0, 61.0)])
def test_a_time_that_the_server_names_comes_on_top_within_bounds(named_s: float | None, expected_s: float) -> None:
    assert Pauses(TIMING, longest).next(named_s) == expected_s
