"""Figures of one window."""

from koordnri.cli.demo.moment import Moment, moment


def test_percentiles_are_measured_values() -> None:
    window = {"number": 7, "took_s": [n / 1000 for n in range(100, 0, -1)], "dropped": 3}
    assert moment(window, 1.5, frozenset("b")) == Moment(7, 51.0, 99.0, 100.0, 3, 1.5, frozenset("b"))


def test_a_window_without_an_answer_is_no_error() -> None:
    assert moment({"number": 1, "took_s": [], "dropped": 250}, 0.0, frozenset())[:5] == (1, 0.0, 0.0, 0.0, 250)
