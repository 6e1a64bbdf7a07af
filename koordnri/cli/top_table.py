"""The rows of `koordnri top` for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from koordnri.cli.printable import printable
from koordnri.cli.top_figures import Figures
from koordnri.cli.top_rows import Row

LEAST_NAME_WIDTH = 24
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
_UNKNOWN = "-"


class _Column(NamedTuple):
    title: str
    width: int
    rank: int
    """columns with the highest rank are left out first where the terminal is narrow"""
    text: Callable[[Figures], str]


def _milli(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}m"


def _ms(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}"


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}"


def _bytes(value: float | None) -> str:
    """At most six characters: 1023Mi, 1.2Gi."""
    if value is None:
        return _UNKNOWN
    unit = 0
    while value >= 1024 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    digits = 1 if unit and value < 10 else 0
    return f"{value:.{digits}f}{_UNITS[unit]}"


COLUMNS = (
    _Column("cpu", 7, 0, lambda f: _milli(f.used_milli)),
    _Column("request", 7, 1, lambda f: _milli(f.requested_milli)),
    _Column("given", 7, 1, lambda f: _milli(f.given_milli)),
    _Column("throttled", 9, 2, lambda f: _ms(f.throttled_ms_per_s)),
    _Column("waiting", 7, 2, lambda f: _ms(f.waiting_ms_per_s)),
    _Column("psi c/m/i", 9, 4, lambda f: "/".join(map(_percent, (f.cpu_pressure, f.memory_pressure, f.io_pressure)))),
    _Column("memory", 6, 0, lambda f: _bytes(f.memory)),
    _Column("min", 6, 3, lambda f: _bytes(f.memory_min)),
    _Column("high", 6, 3, lambda f: _bytes(f.memory_high)),
    _Column("read", 6, 5, lambda f: _bytes(f.read_per_s)),
    _Column("write", 6, 5, lambda f: _bytes(f.written_per_s)),
)
_MEANINGS = {
    "throttled, waiting: ms per s": {"throttled", "waiting"},
    "psi: % of 10 s for CPU, memory, I/O": {"psi c/m/i"},
    "read, write: bytes per s": {"read", "write"},
}
"""line below the table → the columns that it explains"""
_TAIL = 8
"""characters at the end of a name that is too long: they distinguish the pods of one workload"""


def columns_for(width: int) -> list[_Column]:
    """The columns that fit beside the names."""
    columns = list(COLUMNS)
    while sum(column.width + 1 for column in columns) + LEAST_NAME_WIDTH > width:
        rank = max(column.rank for column in columns)
        if rank == 0:
            break
        columns = [column for column in columns if column.rank < rank]
    return columns


def table(node: str, classes: Sequence[Row], width: int, height: int | None = None) -> RenderableType:
    """The table for a terminal of this size; None: as many lines as it needs."""
    columns = columns_for(width)
    name_width = max(width - sum(column.width + 1 for column in columns), LEAST_NAME_WIDTH)
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True, header_style="bold")
    drawn.add_column(printable(node) or "node", width=name_width - 1, no_wrap=True, overflow="ellipsis")
    for column in columns:
        drawn.add_column(column.title, width=column.width, justify="right", no_wrap=True, overflow="ellipsis")
    lines = list(_lines(classes))
    hidden = 0
    if height is not None and len(lines) > (room := max(height - 4, 1)):
        hidden = len(lines) - room
        lines = lines[:room]
    for name, figures, style in lines:
        drawn.add_row(
            Text(_fitted(printable(name), name_width - 1)), *(column.text(figures) for column in columns), style=style
        )
    if not lines:
        return Group(drawn, Text("no containers run"))
    return Group(
        drawn, *(Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in _notes(columns, hidden))
    )


def _notes(columns: Sequence[_Column], hidden: int) -> Iterator[str]:
    """The lines below the table."""
    titles = {column.title for column in columns}
    yield "; ".join(meaning for meaning, about in _MEANINGS.items() if about <= titles)
    left_out = [column.title for column in COLUMNS if column.title not in titles]
    notes = [f"{hidden} more rows: --once has all"] if hidden else []
    notes += [f"a wider terminal has {', '.join(left_out)}"] if left_out else []
    if notes:
        yield "; ".join(notes)


def _fitted(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - _TAIL - 1]}…{name[-_TAIL:]}"


def _lines(classes: Sequence[Row]) -> Iterator[tuple[str, Figures, str]]:
    for of_class in classes:
        yield (
            f"{of_class.name} ({len(of_class.below)} pod{'' if len(of_class.below) == 1 else 's'})",
            of_class.figures,
            "bold",
        )
        for pod in of_class.below:
            yield f" {pod.name}", pod.figures, ""
            for container in pod.below:
                cpus = f" [{container.names['cpus']}]" if container.names["exclusive"] else ""
                yield f"   {container.name}{cpus}", container.figures, "dim"
