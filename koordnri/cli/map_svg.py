"""The map of koordnri.answers.map as SVG: boxes of sockets and NUMA nodes, in them L3 caches, in those cores with their CPUs on top of
each other.

It has a title and a description for screen readers and no external resource; its colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from koordnri.cli import map_legend as legend
from koordnri.cli.printable import printable

WIDTH = 1200
"""of the picture, in pixels; so are all lengths here"""
_MARGIN = 16
_CELL = 16
_PAD = 8
_LINE = 20
_HEADING = 22
_TOP = 52
"""below the title and the summary"""
_CHARACTER = 7.25
"""width of a character; all but the title are monospaced"""
_MOST_CHARACTERS = int((WIDTH - 2 * _MARGIN - 24) / _CHARACTER)
_STYLE = """
text { font: 12px ui-monospace, monospace; fill: #1a1a1a; white-space: pre }
.heading { font-weight: bold }
.name { font: bold 16px system-ui, sans-serif }
.cell { text-anchor: middle }
text.owned { fill: #000; font-weight: bold }
.page { fill: #fff }
.socket { fill: #f2f2f2; stroke: #767676 }
.l3 { fill: #fff; stroke: #949494 }
rect.shared { fill: #e4e4e4 }
rect.reserved, rect.system, rect.kubelet { fill: #d8c99b }
rect.isolated { fill: #b8dce6 }
rect.unused, rect.offline { fill: none; stroke: #767676; stroke-dasharray: 2 }
rect.several { fill: #b00020 }
text.several { fill: #fff; font-weight: bold }
@media (prefers-color-scheme: dark) {
text { fill: #ededed }
text.owned { fill: #000 }
.page { fill: #16181c }
.socket { fill: #22252b; stroke: #8a8f98 }
.l3 { fill: #16181c; stroke: #6c717a }
rect.shared { fill: #3a3e46 }
rect.reserved, rect.system, rect.kubelet { fill: #5f5326 }
rect.isolated { fill: #1f5563 }
rect.unused, rect.offline { fill: none; stroke: #8a8f98 }
rect.several { fill: #d32f2f }
}
"""


class _Drawn(NamedTuple):
    """Elements, drawn downwards from y = 0 of their own."""

    elements: list[str]
    width: float
    height: float


def picture(shape: Mapping[str, Any]) -> str:
    """The map and its legend as an SVG document."""
    inner = WIDTH - 2 * _MARGIN
    parts = [
        _text(0, 16, legend.title(shape), "name"),
        _text(0, 38, legend.summary(shape)),
    ]
    nodes = _packed(
        (
            _numa_node(f"socket {socket}, NUMA node {numa}", cpus, shape["owners"], inner)
            for (socket, numa), cpus in legend.grouped(shape["cpus"], "socket", "numa")
        ),
        inner,
    )
    parts.append(_moved(0, _TOP, nodes.elements))
    y = _TOP + nodes.height + _PAD
    lines = list(_legend(shape))
    parts += [_moved(0, y + index * _LINE, line) for index, line in enumerate(lines)]
    height = y + len(lines) * _LINE + 2 * _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}" '
            # So that several spaces between columns stay several; browsers want `white-space` instead.
            'xml:space="preserve" role="img" aria-labelledby="koordnri-map-title koordnri-map-description">',
            f'<title id="koordnri-map-title">{_shown(legend.title(shape))}</title>',
            f'<desc id="koordnri-map-description">{_shown(_description(shape))}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height:g}"/>',
            _moved(_MARGIN, _MARGIN, parts),
            "</svg>",
            "",
        ]
    )


def _numa_node(
    heading: str, cpus: Sequence[Mapping[str, Any]], owners: Sequence[Mapping[str, str]], room: float
) -> _Drawn:
    """A box with the node's L3 caches."""
    caches = [_l3(f"L3 {l3}", of_l3, owners, room - 2 * _PAD) for (l3,), of_l3 in legend.grouped(cpus, "l3")]
    inside = _packed(caches, room - 2 * _PAD)
    width = max(inside.width, len(heading) * _CHARACTER) + 2 * _PAD
    height = _HEADING + inside.height + _PAD
    frame = f'<rect class="socket" width="{width:g}" height="{height:g}" rx="6"/>'
    drawn = [frame, _text(_PAD, 16, heading, "heading"), _moved(_PAD, _HEADING, inside.elements)]
    return _Drawn(drawn, width, height)


def _packed(boxes: Iterable[_Drawn], room: float) -> _Drawn:
    """Boxes beside each other, in as many rows as they need."""
    elements: list[str] = []
    x = y = row = width = 0.0
    for box in boxes:
        if x and x + box.width > room:
            x, y, row = 0.0, y + row + _PAD, 0.0
        elements.append(_moved(x, y, box.elements))
        width, row = max(width, x + box.width), max(row, box.height)
        x += box.width + _PAD
    return _Drawn(elements, width, y + row)


def _l3(label: str, cpus: Sequence[Mapping[str, Any]], owners: Sequence[Mapping[str, str]], room: float) -> _Drawn:
    """A box with cores beside each other; the CPUs of a core are on top of each other."""
    cores = [core for _, core in legend.grouped(cpus, "core")]
    threads = max(map(len, cores))
    step_x, step_y = _CELL + 2, threads * (_CELL + 1) + 3
    per_row = min(len(cores), max(int((room - 2 * _PAD) // step_x), 1))
    elements = []
    for index, core in enumerate(cores):
        x, y = _PAD + index % per_row * step_x, _HEADING + index // per_row * step_y
        for thread, cpu in enumerate(core):
            elements.append(_cpu(x, y + thread * (_CELL + 1), cpu, owners))
    width = max(per_row * step_x + 2 * _PAD - 2, len(label) * _CHARACTER + 2 * _PAD)
    height = _HEADING + -(-len(cores) // per_row) * step_y + 2
    frame = f'<rect class="l3" width="{width:g}" height="{height:g}" rx="4"/>'
    return _Drawn([frame, _text(_PAD, 15, label), *elements], width, height)


def _cpu(x: float, y: float, cpu: Mapping[str, Any], owners: Sequence[Mapping[str, str]]) -> str:
    """One CPU; its title is shown where the pointer is."""
    mark = legend.mark(cpu, owners)
    names = [f"{legend.who(owners[i])} {owners[i]['class']}".rstrip() for i in cpu["owners"]] or [mark.state]
    title = f"<title>CPU {cpu['cpu']}, core {cpu['core']}: {_shown(', '.join(names))}</title>"
    return f"<g>{title}{_cell(x, y, mark)}</g>"


def _cell(x: float, y: float, mark: legend.Mark) -> str:
    fill = f'fill="{mark.colour}"' if mark.colour else f'class="{mark.state}"'
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{_CELL}" height="{_CELL}" rx="2" {fill}/>'
        f'<text class="cell {mark.state}" x="{x + _CELL / 2:g}" y="{y + 12:g}">{_shown(mark.letter)}</text>'
    )


def _legend(shape: Mapping[str, Any]) -> Iterator[list[str]]:
    """The elements of each line."""
    rows = [(legend.who(o), o["class"], legend.has(o), f"by {o['by']}") for o in shape["owners"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, row in enumerate(rows):
        mark = legend.Mark(shape["owners"][index]["letter"], "owned", legend.colour(index))
        words = "  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True) if width)
        yield [_cell(0, 0, mark), _text(24, 12, words)]
    for state, sign, meaning, cpus in legend.states_of(shape):
        yield [_cell(0, 0, legend.Mark(sign, state, "")), _text(24, 12, f"{meaning}: {cpus}")]
    for line in legend.pools_of(shape):
        yield [_text(24, 12, line)]


def _description(shape: Mapping[str, Any]) -> str:
    """The whole content in sentences."""
    owners = [f"{legend.who(o)} has {legend.has(o)}, given by {o['by']}." for o in shape["owners"]]
    states = [f"{meaning}: {cpus}." for _, _, meaning, cpus in legend.states_of(shape)]
    return " ".join(
        [f"{legend.summary(shape).rstrip('.')}.", *owners, *states, *(f"{p}." for p in legend.pools_of(shape))]
    )


def _text(x: float, y: float, content: str, kind: str = "") -> str:
    if len(content) > _MOST_CHARACTERS:
        content = content[: _MOST_CHARACTERS - 1] + "…"
    marked = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{marked}>{_shown(content)}</text>'


def _moved(x: float, y: float, elements: Sequence[str]) -> str:
    return f'<g transform="translate({x:g} {y:g})">{"".join(elements)}</g>'


def _shown(text: str) -> str:
    """A text in XML, which knows no control characters."""
    return escape(printable(text))
