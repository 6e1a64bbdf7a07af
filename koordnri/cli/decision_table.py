"""Decisions as tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table

from koordnri.cli.explanation import Explanation
from koordnri.cli.printable import printable
from koordnri.model import UNLIMITED, Decision, Setting
from koordnri.model.class_cgroup import HOST_PREFIX
from koordnri.model.fields import Field
from koordnri.model.plain import plain_value
from koordnri.model.verdict import Outcome, Verdict

PIPE_WIDTH = 160
"""Columns when there is no terminal: wide enough to keep most reasons on one line."""

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def escape(text: str) -> str:
    """A pod's text as markup that shows it literally; control characters are shown as escapes."""
    return escape_markup(printable(text))


def console() -> Console:
    """Standard output."""
    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPE_WIDTH if wide else None, highlight=False)


# Guaranteed pods have no class cgroup; they are directly in the cgroup of all pods.
_ABOVE = {"Guaranteed": "QoS class Guaranteed (all pods)", "root": "(whole machine)"}


def class_heading(kube_class: str) -> str:
    """How tables name a cgroup outside of pods."""
    if (application := kube_class.removeprefix(HOST_PREFIX)) != kube_class:
        return f"host application {application}"
    return _ABOVE.get(kube_class, f"QoS class {kube_class}")


def print_explanation(out: Console, explanation: Explanation) -> None:
    """One pod: a table of settings and skipped fields, then errors and remarks."""
    pod = explanation.pod
    table = _table(heading(pod.namespace, pod.name, pod.qos.value, pod.kube_qos.value), "container")
    _add(table, "(pod)", explanation.own)
    for name, decision in explanation.containers.items():
        _add(table, name, decision)
    out.print(table)
    shape = explanation.as_json()
    print_errors(out, shape["errors"])
    print_trust(out, shape["trust"])
    for remark in shape["remarks"]:
        out.print(f"[yellow]remark[/yellow] {escape(remark)}", soft_wrap=True)
    out.print()


def print_classes(out: Console, classes: Iterable[tuple[str, Decision]]) -> None:
    """One table of the cgroups outside of pods (name, decision) that have settings, then their errors."""
    table, errors = _table("QoS classes, were these all pods of the node", "cgroup"), []
    for name, decision in classes:
        if decision.settings or decision.observed:
            _add(table, class_heading(name), decision)
        errors += [f"{e.hook}, {class_heading(name)}: {e.message}" for e in decision.errors]
    if table.rows:
        out.print(table)
    for error in errors:
        out.print(f"[red]error[/red] {escape(error)}", soft_wrap=True)


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in (first, "field", "value", "hook", "reason", "route"):
        table.add_column(column, overflow="fold")
    return table


def heading(namespace: str, name: str, qos: str, kube_qos: str) -> str:
    """Title of a pod's table."""
    return escape(f"{namespace}/{name}  {qos or 'no QoS label'}, {kube_qos}")


def print_errors(out: Console, errors: Iterable[dict[str, Any]]) -> None:
    """One line per mistake that cost a hook its fields."""
    for error in errors:
        where = f"container {error['container']}" if error["container"] else "pod"
        out.print(
            f"[red]error[/red] {escape(error['hook'])}, {escape(where)}: {escape(error['message'])}", soft_wrap=True
        )


def print_trust(out: Console, verdicts: Iterable[Mapping[str, str]]) -> None:
    """One line per input of a pod that the policy's trust rules judged."""
    for verdict in verdicts:
        text = str(Verdict(verdict["rule"], verdict["what"], cast("Outcome", verdict["outcome"]), verdict["why"]))
        colour = "dim" if verdict["outcome"] == "believed" else "yellow"
        out.print(f"[{colour}]trust[/{colour}] {escape(text)}", soft_wrap=True)


def _add(table: Table, name: str, decision: Decision) -> None:
    if not decision.settings and not decision.observed and not decision.skipped:
        table.add_row(escape(name), "[dim]nothing to set[/dim]", "", "", "", "")
    first = name
    for field, setting in (*decision.settings.items(), *decision.observed.items()):
        row = (first, field, shown_value(setting), setting.hook, setting.reason, setting.route)
        table.add_row(*map(escape, row))
        first = ""
    for what, reason in decision.skipped.items():
        table.add_row(
            escape(first), f"[dim]{escape(what)}[/dim]", "", "", f"[dim]left alone: {escape(reason)}[/dim]", ""
        )
        first = ""
    table.add_section()


def time_shown(text: str) -> str:
    """A time of the daemon (UTC) to the second: 2026-11-29T11:50:09.295Z → 2026-11-29 11:50:09."""
    return text.partition(".")[0].replace("T", " ").removesuffix("Z")


def shown_value(setting: Setting) -> str:
    """The value as people read it; "" for none."""
    return shown(setting.field, plain_value(setting.value))


def shown(field: Field | None, value: Any) -> str:
    """The same for a value from JSON; `field` is None for a field that this version does not know."""
    if value is None:
        return ""
    if value == UNLIMITED and field is not None and field.neutral == UNLIMITED:
        return "-1 (unlimited)"
    if isinstance(value, dict):
        return " ".join(f"{k}={','.join(v) if isinstance(v, list) else v}" for k, v in value.items())
    if field is not None and field.unit == "bytes":
        for size, unit in _UNITS:
            if value >= size:
                return f"{value} ({value / size:.4g} {unit})"
    return str(value)
