"""The picture in the terminal."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from math import log

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from koordnri.cli.demo.moment import Moment
from koordnri.cli.demo.switches import QUIT, SWITCHES

SHOWN = 60
"""windows in the curve"""
_BARS = "▁▂▃▄▅▆▇█"


def picture(
    moments: Sequence[Moment], on: Collection[str], pending: str, request_ms: float, window_s: float
) -> RenderableType:
    """The keys, the figures of the last window, and the curve of p99.

    pending      what the kernel does not have yet of what was switched; "" when it has all
    request_ms   CPU time of a request: the best that a figure can be
    """
    return Group(
        _keys(on), Text(""), *_figures(moments, request_ms), Text(""), _curve(moments, window_s), _note(pending)
    )


def _keys(on: Collection[str]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for switch in SWITCHES:
        state = Text("on", style="bold green") if switch.key in on else Text("off", style="dim")
        table.add_row(Text(f"[{switch.key}]", style="bold"), switch.name, state, Text(switch.means, style="dim"))
    table.add_row(Text(f"[{QUIT}]", style="bold"), "quit", "", "")
    return table


def _figures(moments: Sequence[Moment], request_ms: float) -> list[Text]:
    if not moments:
        return [Text("waits for the first requests …", style="dim")]
    last = moments[-1]
    lines = [
        Text(f"service   p50 {last.p50_ms:8.2f} ms   p99 {last.p99_ms:8.2f} ms   worst {last.worst_ms:8.2f} ms"),
        Text(f"batch     {last.batch_cores:12.2f} CPUs"),
        Text(f"          a request takes {request_ms:g} ms of CPU: no figure can be better", style="dim"),
    ]
    if last.dropped:
        lines.append(Text(f"          {last.dropped} requests were given up: the service is too late", style="red"))
    return lines


def _curve(moments: Sequence[Moment], window_s: float) -> Text:
    """p99 of each window, on a logarithmic scale; a line below it shows where a switch was used."""
    shown = moments[-SHOWN:]
    if not shown:
        return Text("")
    highest = max(m.p99_ms for m in shown)
    lowest = min(m.p99_ms for m in shown)
    bars = "".join(_BARS[_step(m.p99_ms, lowest, highest)] for m in shown)
    marks = " " + "".join(_mark(before, after) for before, after in itertools.pairwise(shown))
    title = f"p99 of the last {len(shown) * window_s:g} s, {lowest:.2f} to {highest:.2f} ms; below, the key that was pressed"
    return Text(f"{title}\n{bars}\n{marks}")


def _step(value: float, lowest: float, highest: float) -> int:
    """0 to 7. Equal ratios are equal steps: p99 spans two orders of magnitude."""
    if highest <= lowest or value <= lowest:
        return 0
    low = max(lowest, 1e-3)
    return min(7, int(8 * log(max(value, low) / low) / log(highest / low)))


def _mark(before: Moment, after: Moment) -> str:
    pressed = before.on ^ after.on
    return min(pressed) if pressed else " "


def _note(pending: str) -> Text:
    return Text(f"not in the kernel yet: {pending}", style="yellow") if pending else Text("")
