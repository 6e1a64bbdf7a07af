from __future__ import annotations

from koordnri.control.token_bucket import TokenBucket


def test_a_burst_after_a_rest_and_then_so_many_per_second() -> None:
    bucket = TokenBucket(0.0)
    assert bucket.fill(1000.0, 3, 0.1) == 3
    bucket.take(3)
    assert bucket.fill(1009.0, 3, 0.1) == 0
    assert bucket.fill(1010.0, 3, 0.1) == 1
    bucket.take()
    assert bucket.fill(2000.0, 3, 0.1) == 3


def test_a_smaller_burst_counts_at_once_and_time_never_goes_back() -> None:
    bucket = TokenBucket(0.0)
    assert bucket.fill(10.0, 5, 1) == 5
    assert bucket.fill(9.0, 2, 1) == 2


def test_it_is_empty_at_first_and_fills_at_its_rate():
    bucket = TokenBucket(1000.0)
    assert [bucket.fill(at_s, 3, 0.1) for at_s in (1000.0, 1009.0, 1010.0, 1100.0)] == [0, 0, 1, 3]


def test_many_small_steps_lose_nothing() -> None:
    bucket = TokenBucket(0.0)
    for tick in range(1, 100):
        bucket.fill(tick * 0.1, 1, 0.1)
    assert bucket.fill(10.0, 1, 0.1) == 1
