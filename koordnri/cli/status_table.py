"""The status as a screen for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table

from koordnri.cli.decision_table import console, escape, shown, time_shown
from koordnri.cli.status import attention, counted, runtime_text
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
    if hooks := runtime["required"]["hooks"]:
        refused = runtime["required"]["refusesUnanswered"]
        what = "are refused" if refused else "are created without them (see `koordnri doctor`)"
        yield "required", escape(f"{', '.join(hooks)}: while koordnri does not answer, containers {what}")
    waiting = f", {counted(runtime['unrecorded'], 'container')} to be recorded" if runtime["unrecorded"] else ""
    yield "route", escape(f"{runtime['recordRoute']}{waiting}")
    yield (
        "policy",
        escape(f"revision {policy['revision']} since {policy['since']}, from {policy['source'] or 'the defaults'}"),
    )
    if policy["former"]:
        yield "former", escape(_former(policy["former"]))
    if answer["api"]:
        down = {noun: problem for noun, problem in answer["api"].items() if problem}
        yield "API server", escape("; ".join(f"{noun}: {text}" for noun, text in down.items()) or "connected")
    else:
        yield "API server", "not used"
    yield "Landlock", escape(answer["landlock"])
    yield from _controllers(answer["controllers"])
    yield from _eviction(answer["eviction"])
    classes = [f"{name} {c['pods']}/{c['containers']}" for name, c in answer["counts"].items()]
    yield "pods/containers", escape(", ".join(classes) or "none")
    for one in answer["hostApplications"]:
        if not one["problem"]:
            found = ((name, shown(split_name(name)[0], value)) for name, value in one["fields"].items())
            values = ", ".join(f"{name} {value}" for name, value in found) or "nothing of its class"
            yield "application", escape(f"{one['name']}, {one['qos']}: {values}")
    known = {name: text for name, text in cpus.items() if text}
    yield "CPUs", escape("  ".join(f"{name} {text}" for name, text in known.items()) or "not known")


def _controllers(found: Any) -> Iterator[tuple[str, str]]:
    if not found["modes"]:
        return
    texts = [f"{name} {mode}" for name, mode in found["modes"].items()]
    if (best_effort := found["bestEffort"]) is not None:
        cpus, quota = best_effort["cpus"], best_effort["quotaMicroseconds"]
        texts.append(
            f"best-effort work on CPUs {cpus}" if cpus is not None else f"best-effort work: {quota} µs per 100 ms"
        )
    if found["raisedQuotas"]:
        texts.append(f"{counted(found['raisedQuotas'], 'quota')} raised")
    if found["loweredMemory"]:
        texts.append(f"memory.high lowered of {counted(found['loweredMemory'], 'container')}")
    yield "controllers", escape(", ".join(texts))
    for one in found["waits"]:
        yield "waits", escape(f"{one['pod']} {one['text']}")
    if (memory := found["reclaimable"]) is not None and memory["pods"]:
        cached, beyond = (memory[key] >> 20 for key in ("cachedBytes", "beyondRequestsBytes"))
        yield (
            "reclaimable",
            f"{cached} MiB of cached files, and at most {beyond} MiB beyond requests of best-effort pods",
        )


def _eviction(eviction: Any) -> Iterator[tuple[str, str]]:
    last = eviction["last"]
    if last is not None:
        what = f"{last['pod']}: {last['outcome']}, {last['feature']}: {last['reason']}"
        yield "eviction", escape(f"{eviction['mode']}; the last one: {what}")
    elif eviction["mode"] != "off":
        yield "eviction", f"{eviction['mode']}; none yet"


def _former(former: Any) -> str:
    """The policy before, and what the present one changed."""
    changes = [f"{change['path']}: {change['old']} → {change['new']}" for change in former["changes"]]
    more = [f"and {former['more']} more; see -o json"] if former["more"] else []
    changed = "; ".join([*changes, *more]) or "nothing that counts"
    return f"revision {former['revision']} until {former['until']}; changed since: {changed}"


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
