"""Figures: what two readings say about the time between them."""

from __future__ import annotations

from koordnri.cli.top_figures import Figures, added, between
from koordnri.host.usage.io import IOBytes
from koordnri.host.usage.pressure import Pressure
from tests.cli.top_readings import MIB, reading


def test_rates_are_per_second() -> None:
    before = reading(10.0, 1_000_000, 0, waiting={1: 0}, io=IOBytes(0, 100))
    after = reading(12.0, 2_000_000, 500_000, 7 * MIB, {1: 40_000_000}, IOBytes(4096, 300), Pressure(1.5, 0.0, None))
    assert between(before, after) == Figures(
        used_milli=500,
        throttled_ms_per_s=250,
        waiting_ms_per_s=20,
        cpu_pressure=1.5,
        memory_pressure=0.0,
        memory=7 * MIB,
        read_per_s=2048,
        written_per_s=100,
    )


def test_one_reading_shows_no_rates() -> None:
    figures = between(None, reading(1.0, 5, 5, MIB, {1: 1}, IOBytes(1, 1)))
    assert figures == Figures(memory=MIB)


def test_a_counter_that_starts_again_is_no_negative_use() -> None:
    assert between(reading(1.0, 100), reading(2.0, 10)).used_milli == 0


def test_a_sum_of_rows() -> None:
    rows = [
        Figures(used_milli=1, requested_milli=100, given_milli=500, cpu_pressure=2.0, memory=5),
        Figures(used_milli=2, given_milli=1000, cpu_pressure=9.0),
    ]
    assert added(rows) == Figures(used_milli=3, requested_milli=100, given_milli=1500, cpu_pressure=9.0, memory=5)
    assert added([*rows, Figures(used_milli=4)]).given_milli is None
    assert added([]) == Figures()
