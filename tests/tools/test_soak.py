"""What the soak takes for growth."""

from __future__ import annotations

import random

import pytest

from tools.soak import has_grown

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
