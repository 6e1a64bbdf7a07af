"""The status as a screen for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table

from koordnri.cli.decision_table import console, escape, shown, time_shown
from koordnri.cli.status import attention, runtime_text
from koordnri.model.fields import split_name

_SHOWN = 20
"""Most lines of violations; the rest is counted, `-o json` has all."""


def print_status(answer: Any) -> None:
    """Two columns of facts, then violations, problems and warnings, then the last decisions."""
    out = console()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, text in _facts(answer):
        facts.add_row(name, text)
    out.print(facts)
    for line in _lines(answer):
        out.print(line, soft_wrap=True)
    if answer["decisions"]:
        out.print("[bold]last decisions[/bold] (UTC, the newest at the end)")
    for line in _decisions(answer["decisions"]):
        out.print(escape(line), soft_wrap=True)


def _facts(answer: Any) -> Iterator[tuple[str, str]]:
    """(name, text as markup)."""
    runtime, policy, cpus = answer["runtime"], answer["policy"], answer["cpus"]
    ready = "[green]ready[/green]" if answer["ready"] else "[red]not ready[/red]"
    yield "node", f"{escape(answer['node'])}, koordnri {answer['version']}: {ready}"
    nri = f", NRI {runtime['nri']}" if runtime["nri"] else ""
    yield "runtime", escape(f"{runtime_text(answer)}{nri}: {runtime['state']}")
    waiting = f", {runtime['unrecorded']} containers to be recorded" if runtime["unrecorded"] else ""
    yield "route", escape(f"{runtime['recordRoute']}{waiting}")
    yield (
        "policy",
        escape(f"revision {policy['revision']} since {policy['since']}, from {policy['source'] or 'the defaults'}"),
    )
    if answer["api"]:
        down = {noun: problem for noun, problem in answer["api"].items() if problem}
        yield "API server", escape("; ".join(f"{noun}: {text}" for noun, text in down.items()) or "connected")
    else:
        yield "API server", "not used"
    yield "Landlock", escape(answer["landlock"])
    classes = [f"{name} {c['pods']}/{c['containers']}" for name, c in answer["counts"].items()]
    yield "pods/containers", escape(", ".join(classes) or "none")
    shown = {name: text for name, text in cpus.items() if text}
    yield "CPUs", escape("  ".join(f"{name} {text}" for name, text in shown.items()) or "not known")


def _decisions(changes: Iterable[Any]) -> Iterator[str]:
    """A line each, as text."""
    for change in changes:
        field, _ = split_name(change["field"])
        old, new = (shown(field, change[which]) or "-" for which in ("old", "new"))
        where = f"{change['namespace']}/{change['pod']}" if change["pod"] else f"({change['class']})"
        container = change["container"] or ("(pod)" if change["pod"] else "")
        cause = f"{change['cause']} {change['detail']}" if change["detail"] else change["cause"]
        yield f"  {time_shown(change['time'])} {' '.join(filter(None, (where, container, change['field'])))}: {old} → {new}, by {cause}"


def _lines(answer: Any) -> Iterator[str]:
    found = answer["violations"]
    for one in found[:_SHOWN]:
        where = " ".join(filter(None, (one["pod"], one["container"]))) or "node"
        yield f"[red]violation[/red] {one['kind']} {escape(where)}: {escape(one['message'])}"
    if len(found) > _SHOWN:
        yield f"[red]violation[/red] and {len(found) - _SHOWN} more; see -o json"
    for problem in answer["problems"]:
        yield f"[red]problem[/red] {escape(problem)}"
    if not answer["ready"]:
        yield "`koordnri doctor` checks the node and says what to change"
    for warning in attention(answer):
        yield f"[yellow]warning[/yellow] {escape(warning)}"
    if not found and not answer["problems"] and not attention(answer):
        yield "[green]no violations, no problems, no warnings[/green]"
