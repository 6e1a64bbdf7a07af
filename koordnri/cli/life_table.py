"""What containers got in a simulation, as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from koordnri.cli.decision_table import console, escape, heading, print_errors, shown_value
from koordnri.cli.outcome import value_in
from koordnri.cli.simulation import ContainerLife, PodLife
from koordnri.model import NodeState, Setting
from koordnri.model.routes import RESCTRL, WRITE

NOT_CARRIED = "not through the runtime; needs a write to the cgroup file, which this version does not do"


def print_lives(lives: Iterable[PodLife], node: NodeState) -> None:
    """A table per pod, then the number of events."""
    out = console()
    events: Counter[str] = Counter()
    for life in lives:
        _print_life(out, life, node)
        events += life.events
    counts = ", ".join(f"{name} {count}" for name, count in sorted(events.items()))
    out.print(f"[dim]events that the daemon received: {escape(counts)}[/dim]", soft_wrap=True)


def _print_life(out: Console, life: PodLife, node: NodeState) -> None:
    pod = life.pod
    title = heading(pod.namespace, pod.name, pod.qos.value, pod.kube_qos.value)
    table = Table(title=title, title_justify="left")
    for column in ("container", "field", "asked", "got", "hook", "why"):
        table.add_column(column, overflow="fold")
    for name, container in life.containers.items():
        _add(table, name, container, node)
    if life.containers:
        out.print(table)
    else:
        out.print(title)
    print_errors(out, life.as_json()["errors"])
    for name, container in life.containers.items():
        if container.failed:
            out.print(f"[red]failed[/red] container {escape(name)}: {escape(container.failed)}", soft_wrap=True)
    if life.failed:
        out.print(f"[red]failed[/red] {escape(life.failed)}", soft_wrap=True)
    out.print()


def _add(table: Table, name: str, container: ContainerLife, node: NodeState) -> None:
    decision, spec = container.decision, container.spec
    if spec is None:
        table.add_row(escape(name), "[red]not created[/red]", "", "", "", "")
        table.add_section()
        return
    rows = [
        (escape(s.field.named(s.key)), *_values(container, s, node), escape(s.hook), _reason(s))
        for s in decision.settings.values()
    ]
    rows += [
        (f"[dim]{escape(what)}[/dim]", "", "", "", f"[dim]left alone: {escape(why)}[/dim]")
        for what, why in decision.skipped.items()
    ]
    for index, row in enumerate(rows or [("[dim]as kubelet asked[/dim]", "", "", "", "")]):
        table.add_row(escape(name) if index == 0 else "", *row)
    table.add_section()


def _values(container: ContainerLife, setting: Setting, node: NodeState) -> tuple[str, str]:
    """What kubelet asked for, and what the container had at the end, as markup."""
    assert container.spec is not None
    asked = value_in(container.requested, setting, node)
    got = value_in(container.spec, setting, node)
    shown = escape(shown_value(setting._replace(value=got)))
    if setting.route not in (WRITE, RESCTRL) and (got is None or not setting.field.same(got, setting.value)):
        shown = f"[red]{shown or 'nothing'}, decided was {escape(shown_value(setting))}[/red]"
    return escape(shown_value(setting._replace(value=asked))), shown


def _reason(setting: Setting) -> str:
    if setting.route == WRITE:
        return f"{escape(setting.reason)} [dim]({escape(shown_value(setting))}: {NOT_CARRIED})[/dim]"
    return escape(setting.reason)
