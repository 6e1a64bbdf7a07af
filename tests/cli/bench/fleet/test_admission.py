"""Seats, queue and CPUs, after API Priority and Fairness."""

from __future__ import annotations

import pytest

from koordnri.cli.bench.fleet.admission import Admission, TooMany
from koordnri.cli.bench.fleet.costs import Limits


def test_as_many_run_at_once_as_there_are_seats_and_the_next_waits() -> None:
    it = Admission(Limits(cpus=9, seats=2, queue=9))
    assert [it.admit(0.0, 1, 1.0) for _ in range(3)] == [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)]
    assert it.admit(5.0, 1, 1.0) == (5.0, 6.0)


def test_a_wide_request_waits_until_all_its_seats_are_free_and_those_behind_it_do_not_overtake() -> None:
    it = Admission(Limits(cpus=9, seats=3, queue=9))
    assert it.admit(0.0, 1, 4.0) == (0.0, 4.0)
    assert it.admit(0.0, 3, 1.0) == (4.0, 5.0)
    assert it.admit(1.0, 1, 1.0)[0] >= 4.0


def test_requests_that_run_share_the_cpus() -> None:
    it = Admission(Limits(cpus=1, seats=9, queue=9))
    assert [it.admit(0.0, 1, 1.0) for _ in range(2)] == [(0.0, 1.0), (0.0, 2.0)]


def test_a_full_queue_refuses_at_once_until_somebody_has_left_it() -> None:
    it = Admission(Limits(cpus=9, seats=1, queue=1))
    it.admit(0.0, 1, 1.0)
    it.admit(0.0, 1, 1.0)
    with pytest.raises(TooMany) as refused:
        it.admit(0.5, 1, 1.0)
    assert refused.value.at_s == 0.5
    assert it.admit(1.0, 1, 1.0) == (2.0, 3.0)


def test_who_would_wait_too_long_is_refused_when_that_time_is_over_and_takes_no_seat() -> None:
    it = Admission(Limits(cpus=9, seats=1, queue=9, longest_wait_s=2.0))
    it.admit(0.0, 1, 5.0)
    with pytest.raises(TooMany) as refused:
        it.admit(1.0, 1, 1.0)
    assert refused.value.at_s == 3.0
    assert it.admit(4.0, 1, 1.0) == (5.0, 6.0)
