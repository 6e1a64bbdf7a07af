"""What the soak takes for growth."""

from __future__ import annotations

import random

import pytest

from tools.soak import Reference, has_grown, unexplained

TIMES_S = [float(at) for at in range(0, 1800, 5)]


@pytest.mark.parametrize(
    ("per_hour", "noise", "floor", "expected"),
    [
        (0.0, 1.0, 1.0, False),
        (20.0, 1.0, 3.0, True),
        (20.0, 5.0, 3.0, False),
        (20.0, 0.1, 11.0, False),
        (-20.0, 0.1, 3.0, False),
    ],
    ids=["flat", "grows", "lost in the noise", "below the floor", "shrinks"],
)
def test_growth_is_more_than_noise_and_floor(per_hour: float, noise: float, floor: float, expected: bool) -> None:
    chance = random.Random(1)
    values = [50 + per_hour * at / 3600 + chance.gauss(0, noise) for at in TIMES_S]
    grown, slope, found = has_grown(TIMES_S, values, floor)
    assert grown is expected
    assert slope == pytest.approx(per_hour, abs=3 * noise + 0.1)
    assert found == pytest.approx(noise, rel=0.2)


def test_the_reference_answers_until_it_is_closed() -> None:
    reference = Reference()
    try:
        assert all(reference.round_trip_us() > 0 for _ in range(3))
    finally:
        reference.close()


@pytest.mark.parametrize(("per_hour", "grown"), [(0.0, False), (12_000.0, True)], ids=["flat", "grows"])
def test_what_a_busier_machine_explains_is_no_growth(per_hour: float, grown: bool) -> None:
    chance = random.Random(1)
    load = [1000 + 8000 * (at > 900) + chance.gauss(0, 300) for at in TIMES_S]
    p99 = [
        2000 + 1.5 * busy + per_hour * at / 3600 + chance.gauss(0, 300) for at, busy in zip(TIMES_S, load, strict=True)
    ]
    assert has_grown(TIMES_S, p99, 2000.0)[0], "the machine is busier in the second half"
    assert has_grown(TIMES_S, unexplained(TIMES_S, p99, load), 2000.0)[0] is grown


def test_without_a_load_that_changes_nothing_is_explained() -> None:
    assert unexplained([0.0, 1.0, 2.0], [1.0, 2.0, 4.0], [5.0, 5.0, 5.0]) == [1.0, 2.0, 4.0]
    slower = unexplained([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], [6.0, 4.0, 6.0])
    assert slower == [1.0, 2.0, 1.0], "a busier machine makes nothing faster"
