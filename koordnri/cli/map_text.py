"""The map of koordnri.answers.map as text: a character per CPU, a space between cores, a line for some L3 caches of one NUMA node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from koordnri.cli import map_legend as legend
from koordnri.cli.printable import printable
from koordnri.model import CPUSet

_STYLES = {
    "several": "bold white on red",
    "reserved": "yellow",
    "system": "yellow",
    "kubelet": "yellow",
    "isolated": "cyan",
    "unused": "dim",
    "offline": "dim",
}
_GAP = "  "
_LABEL_WIDTH = 16
"""columns for the numbers of a line's CPUs"""


class _Part(NamedTuple):
    """Cores of one L3 cache that stand on one line."""

    label: str
    cells: Text
    cpus: tuple[int, ...]


def picture(shape: Mapping[str, Any], width: int) -> Group:
    """The map and its legend, for so many columns."""
    lines: list[RenderableType] = [
        Text(legend.title(shape), style="bold"),
        Text(printable(legend.summary(shape))),
        Text(),
    ]
    for (socket, numa), cpus in legend.grouped(shape["cpus"], "socket", "numa"):
        lines.append(Text(f"socket {socket}, NUMA node {numa}", style="bold"))
        lines += _lines(cpus, shape["owners"], width)
    if offline := CPUSet.parse(shape["sets"]["offline"]):
        lines.append(Text("offline", style="bold"))
        lines.append(Text(f"  {_numbers(offline):{_LABEL_WIDTH}} {'-' * len(offline)}"))
    return Group(*lines, Text(), *_legend(shape))


def _lines(cpus: Sequence[Mapping[str, Any]], owners: Sequence[Mapping[str, str]], width: int) -> Iterator[Text]:
    """The lines of one NUMA node."""
    room = max(width - _LABEL_WIDTH - len(_GAP) - 1, 16)
    parts = [part for (l3,), of_l3 in legend.grouped(cpus, "l3") for part in _parts(f"L3 {l3}", of_l3, owners, room)]
    label = max(len(part.label) for part in parts)
    cells = max(len(part.cells) for part in parts)
    per_line = max((room + len(_GAP)) // (label + 1 + cells + len(_GAP)), 1)
    for first in range(0, len(parts), per_line):
        on_line = parts[first : first + per_line]
        numbers = _numbers(CPUSet(cpu for part in on_line for cpu in part.cpus))
        line = Text(f"  {numbers:{_LABEL_WIDTH}} ")
        for part in on_line:
            line.append(f"{part.label:{label}} ", style="dim")
            line.append_text(part.cells)
            line.append(" " * (cells - len(part.cells)) + _GAP)
        line.rstrip()
        yield line


def _parts(
    label: str, cpus: Sequence[Mapping[str, Any]], owners: Sequence[Mapping[str, str]], room: int
) -> Iterator[_Part]:
    """One L3 cache; more than one part when it is wider than a line."""
    most = room - len(label) - 1
    cells, numbers = Text(), list[int]()
    for _, core in legend.grouped(cpus, "core"):
        if cells and len(cells) + 1 + len(core) > most:
            yield _Part(label, cells, tuple(numbers))
            label, cells, numbers = "", Text(), []
        if cells:
            cells.append(" ")
        for cpu in core:
            cells.append(*_cell(legend.mark(cpu, owners)))
            numbers.append(cpu["cpu"])
    yield _Part(label, cells, tuple(numbers))


def _cell(mark: legend.Mark) -> tuple[str, str]:
    return mark.letter, f"bold #000000 on {mark.colour}" if mark.colour else _STYLES.get(mark.state, "")


def _numbers(cpus: CPUSet) -> str:
    """The CPUs of a line; the first and the last one when the list is long."""
    text = str(cpus)
    if len(text) <= _LABEL_WIDTH:
        return text
    numbers = list(cpus)
    return f"{numbers[0]}..{numbers[-1]}"


def _legend(shape: Mapping[str, Any]) -> Iterator[RenderableType]:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column()
    for _ in range(4):
        table.add_column(overflow="fold")
    for index, owner in enumerate(shape["owners"]):
        letter = Text(owner["letter"], style=f"bold #000000 on {legend.colour(index)}")
        texts = (legend.who(owner), owner["class"], legend.has(owner), f"by {owner['by']}")
        table.add_row(letter, *(Text(printable(text)) for text in texts))
    if shape["owners"]:
        yield table
    states = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    states.add_column()
    states.add_column(overflow="fold")
    states.add_column(overflow="fold")
    for state, sign, meaning, cpus in legend.states_of(shape):
        states.add_row(Text(sign, style=_STYLES.get(state, "")), Text(meaning), Text(cpus))
    yield states
    for line in legend.pools_of(shape):
        yield Text(line)
