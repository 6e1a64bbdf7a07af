"""The table, at any width."""

from __future__ import annotations

import pytest
from rich.console import Console

from koordnri.cli.top_figures import Figures
from koordnri.cli.top_rows import Row
from koordnri.cli.top_table import COLUMNS, columns_for, table
from koordnri.host.usage.io import IOBytes
from koordnri.host.usage.pressure import Pressure
from tests.cli.top_readings import AFTER, BEFORE, BUSY, MIB, container, pod, reading, rows


def lines(classes: list[Row], width: int, height: int | None = None) -> list[str]:
    out = Console(width=width, color_system=None)
    with out.capture() as captured:
        out.print(table("n", classes, width, height))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table_at_120_columns_has_everything() -> None:
    pods = [pod("web-with-a-rather-long-name-7f9c-abcde", container("main", "w1", 2000, "0-1", 1500))]
    before = {"web-with-a-rather-long-name-7f9c-abcde": reading(0.0), "w1": reading(0.0, 0, 0, waiting={1: 0})}
    used = reading(1.0, 1_234_000, 5000, 1536 * MIB, {1: 12_000_000}, IOBytes(0, 0), Pressure(12.5, 0.0, 3.0))
    found = lines(rows(pods, before, dict.fromkeys(before, used)), 120)
    assert found[0].split() == ["n", *" ".join(column.title for column in COLUMNS).split()]
    assert found[1].split()[:5] == ["LS", "(1", "pod)", "1234m", "1500m"]
    assert found[3].split() == [
        "main",
        "[0-1]",
        "1234m",
        "1500m",
        "2000m",
        "5",
        "12",
        "12/0/3",
        "1.5Gi",
        "-",
        "-",
        "-",
        "-",
    ]
    assert max(map(len, found)) <= 120


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_too_long_and_what_is_left_out_is_named(width: int) -> None:
    columns = columns_for(width)
    found = lines(rows(BUSY, BEFORE, AFTER), width)
    assert max(map(len, found)) <= width
    assert any("shop/web" in line for line in found)
    hidden = [column.title for column in COLUMNS if column not in columns]
    assert ("a wider terminal has" in found[-1]) is bool(hidden)
    assert {"cpu", "memory"} <= {column.title for column in columns}


def test_rows_beyond_the_terminal_are_counted() -> None:
    found = lines(rows(BUSY, BEFORE, AFTER), 120, 8)
    assert len(found) <= 8
    assert "5 more rows: --once has all" in found[-1]


def test_a_node_without_containers_says_so() -> None:
    assert lines([], 80)[-1] == "no containers run"


@pytest.mark.parametrize(
    ("used", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1.0Ki"), (10 * MIB, "10Mi"), (1023 * MIB, "1023Mi"), (5 << 40, "5.0Ti")],
)
def test_bytes_are_short(used: int, text: str) -> None:
    (memory,) = (column for column in COLUMNS if column.title == "memory")
    assert memory.text(Figures(memory=used)) == text
