"""The picture."""

import io

import pytest
from rich.console import Console

from koordnri.cli.demo.moment import Moment
from koordnri.cli.demo.screen import SHOWN, _step, picture
from koordnri.cli.demo.switches import BATCH, IDLE


def shown(moments: list[Moment], on: str = BATCH, pending: str = "") -> list[str]:
    out = Console(file=io.StringIO(), width=140)
    out.print(picture(moments, frozenset(on), pending, 0.5, 0.5))
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


def of(number: int, p99_ms: float, on: str = BATCH, dropped: int = 0) -> Moment:
    return Moment(number, 0.5, p99_ms, 2 * p99_ms, dropped, 1.25, frozenset(on))


def test_before_the_first_window_it_shows_the_keys() -> None:
    text = "\n".join(shown([]))
    assert "waits for the first requests" in text
    assert "[i]" in text
    assert "BE idle" in text


def test_what_is_on_and_the_last_figures() -> None:
    lines = shown([of(1, 9.0), of(2, 4.0, BATCH + IDLE)], BATCH + IDLE)
    assert [line.split()[:3] for line in lines if line.startswith("[i]")] == [["[i]", "BE", "idle"]]
    assert sum(" on " in line for line in lines) == 2
    assert any("p99     4.00 ms" in line and "worst     8.00 ms" in line for line in lines)
    assert any("1.25 CPUs" in line for line in lines)


def test_the_curve_shows_the_key_below_the_window_that_it_changed() -> None:
    lines = shown([of(1, 1.0), of(2, 8.0), of(3, 1.0, BATCH + IDLE)])
    bars = next(place for place, line in enumerate(lines) if "█" in line)
    assert lines[bars].rstrip() == "▁█▁"
    assert lines[bars + 1].rstrip() == "  i"
    assert "1.00 to 8.00 ms" in lines[bars - 1]


def test_the_curve_has_a_bounded_length() -> None:
    lines = shown([of(n, 1.0 + n) for n in range(3 * SHOWN)])
    assert max(line.count("▁") + line.count("█") for line in lines) <= SHOWN
    assert max(len(line.rstrip()) for line in lines if "█" in line) == SHOWN


@pytest.mark.parametrize(
    ("value", "lowest", "highest", "step"),
    [(1, 1, 1, 0), (1, 1, 100, 0), (100, 1, 100, 7), (10, 1, 100, 4), (0, 0, 5, 0)],
)
def test_equal_ratios_are_equal_steps(value: float, lowest: float, highest: float, step: int) -> None:
    assert _step(value, lowest, highest) == step


def test_what_is_late_or_not_there_yet_is_shown() -> None:
    lines = shown([of(1, 9.0, dropped=12)], pending="koordnri-bench/batch: cpu.idle: decided 1, the kernel has 0")
    assert any("12 requests were given up" in line for line in lines)
    assert any("not in the kernel yet: koordnri-bench/batch: cpu.idle" in line for line in lines)
