"""Marks and colours of the map."""

from __future__ import annotations

import pytest

from koordnri.answers.map import STATES as ALL_STATES
from koordnri.cli.map_legend import PALETTE, STATES


def test_each_state_has_a_mark_of_its_own() -> None:
    assert set(STATES) | {"owned"} == set(ALL_STATES)
    assert len({mark for mark, _ in STATES.values()}) == len(STATES)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", PALETTE)
def test_black_letters_can_be_read_on_every_colour(colour: str) -> None:
    # The contrast of WCAG 2.1 for small text (1.4.3), black on the colour.
    assert (luminance(colour) + 0.05) / 0.05 >= 4.5
