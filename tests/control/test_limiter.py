"""The token bucket of a container's quota burst."""

from __future__ import annotations

import pytest

from koordnri.control.limiter import BurstLimiter

CAPACITY = 5000
"""cfsQuotaBurstPeriodSeconds 100, cfsQuotaBurstPercent 150"""


@pytest.mark.parametrize(
    ("filled", "percent", "tokens"),
    [
        pytest.param(1.0, 150, 4500, id="v48: used up while it bursts"),
        pytest.param(0.1, 40, 1100, id="v50: saved while it uses little"),
        pytest.param(0.9, 40, 5000, id="v50: saved up to the capacity"),
        pytest.param(0.5, 60, 2500, id="from 60 % nothing is saved"),
        pytest.param(0.5, 99, 2500, id="below the limit nothing is used up"),
    ],
)
def test_v48_v50_tokens_are_percents_of_the_limit_times_seconds(filled: float, percent: float, tokens: float) -> None:
    limiter = BurstLimiter(CAPACITY, filled, 100.0)
    assert limiter.allows(percent, 110.0)
    assert limiter.tokens == tokens


def test_an_empty_bucket_denies_until_enough_is_saved() -> None:
    limiter = BurstLimiter(CAPACITY, 0.1, 0.0)
    assert not limiter.allows(200, 6.0)  # 500 − 600
    assert not limiter.allows(50, 8.0)
    assert limiter.allows(50, 9.0)


def test_the_debt_is_at_most_the_capacity() -> None:
    limiter = BurstLimiter(CAPACITY, 1.0, 0.0)
    limiter.allows(400, 3600.0)
    assert limiter.tokens == -CAPACITY


def test_without_capacity_nothing_is_allowed() -> None:
    limiter = BurstLimiter(0, 0.5, 0.0)
    assert not limiter.allows(0, 1000.0)


def test_a_clock_that_stands_or_goes_back_changes_nothing() -> None:
    limiter = BurstLimiter(CAPACITY, 0.5, 10.0)
    limiter.allows(150, 10.0)
    limiter.allows(150, 9.0)
    assert limiter.tokens == 2500
