"""The brake on registrations that end before Synchronize is done."""

from __future__ import annotations

from koordnri.session.brake import ALLOWED, PAUSES_S, Brake


def test_the_first_ones_wait_no_longer_than_usual_then_ever_longer_up_to_a_bound() -> None:
    brake = Brake()
    assert [brake.failed() for _ in range(ALLOWED - 1)] == [0.0] * (ALLOWED - 1)
    assert [brake.failed() for _ in range(len(PAUSES_S) + 2)] == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]


def test_a_registration_that_is_finished_releases_it() -> None:
    brake = Brake()
    for _ in range(ALLOWED):
        brake.failed()
    brake.reset()
    assert brake.unfinished == 0
    assert brake.failed() == 0.0
