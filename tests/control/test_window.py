from __future__ import annotations

import pytest

from koordnri.control.window import MOST_PIECES, Window


def test_a_sample_counts_for_the_interval_before_it() -> None:
    window = Window()
    window.add(1, 1.0, (10.0, 2.0), 60)
    assert window.averages() == (10.0, 2.0)
    window.add(4, 3.0, (20.0, 2.0), 60)
    assert window.averages() == ((10 * 1 + 20 * 3) / 4, 2.0)
    assert window.covered_s == 4
    window.clear()
    assert window.covered_s == 0


def test_older_samples_are_forgotten() -> None:
    window = Window()
    for at_s in range(100):
        window.add(at_s, 1.0, (float(at_s),), 10)
    assert window.covered_s == 10
    assert window.averages() == (sum(range(90, 100)) / 10,)


def test_a_window_of_one_tick_has_the_newest_sample_alone() -> None:
    window = Window()
    for at_s in (1.0, 2.0, 3.5):
        window.add(at_s, 1.0, (at_s,), 1.0)
    assert window.averages() == (3.5,)


@pytest.mark.parametrize("window_s", [300, 3600, 86_400])
def test_a_long_window_keeps_few_pieces_and_averages_all_of_it(window_s: int) -> None:
    window = Window()
    for at_s in range(0, 2 * window_s, 20):
        window.add(at_s, 20.0, (float(at_s),), window_s)
        assert len(window._pieces) <= MOST_PIECES
    assert window.covered_s == pytest.approx(window_s, rel=0.02)
    assert window.averages() == (pytest.approx(1.5 * window_s, rel=0.03),)
