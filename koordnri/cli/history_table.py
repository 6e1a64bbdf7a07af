"""The history of a pod, or of the node, as a table. It reads the JSON shape, since a daemon sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from koordnri.cli.decision_table import console, escape, shown, time_shown
from koordnri.model.fields import split_name


def print_history(answer: Mapping[str, Any]) -> None:
    """The table, oldest change first, and what the reader must know about it."""
    out = console()
    changes = answer["changes"]
    if changes:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("time (UTC)", no_wrap=True)
        if answer["pod"] is None:
            table.add_column("pod", overflow="fold")
        table.add_column("container", overflow="fold")
        table.add_column("field", no_wrap=True)
        for column in ("old", "new"):
            table.add_column(column, overflow="fold", min_width=8)
        table.add_column("why", overflow="fold", ratio=1, min_width=30)
        for change in changes:
            *cells, cause, reason = map(escape, _row(change, answer["pod"] is None))
            table.add_row(*cells, f"{cause}\n[dim]{reason}[/dim]" if reason else cause)
        out.print(table)
    for line in _remarks(answer):
        out.print(escape(line), soft_wrap=True)


def _row(change: Mapping[str, Any], with_pod: bool) -> tuple[str, ...]:
    field, _ = split_name(change["field"])
    cause = f"{change['cause']}: {change['detail']}" if change["detail"] else change["cause"]
    reason = f"{change['hook']}: {change['reason']}" if change["hook"] else change["reason"]
    old, new = (shown(field, change[which]) or "-" for which in ("old", "new"))
    owner = [change["container"] or ("(pod)" if change["pod"] else "(class)")]
    if with_pod:
        owner.insert(0, f"{change['namespace']}/{change['pod']}" if change["pod"] else change["class"])
    return time_shown(change["time"]), *owner, change["field"], old, new, cause, reason


def _remarks(answer: Mapping[str, Any]) -> list[str]:
    since, of_node = answer["since"], answer["pod"] is None
    lines = []
    if not answer["changes"]:
        what = f"{answer['field']} of" if answer["field"] else "any field of"
        where = f"container {answer['container']} of pod" if answer["container"] else "pod"
        of = "this node" if of_node else f"{where} {answer['pod']}"
        kept = f"which goes back to {since}" if since else "which is empty"
        lines.append(f"no change of {what} {of} is in the history, {kept}")
    if answer["more"]:
        what = "a pod" if of_node else "a field, or a container,"
        lines.append(f"older changes are left out; name {what} to see them (the history goes back to {since})")
    if answer["problem"]:
        lines.append(f"the history is only in memory, and ends with the daemon: {answer['problem']}")
    if answer["lost"]:
        lines.append(f"{answer['lost']} decisions came too fast to be noted")
    return lines
