"""An explanation of a running pod as a table for people. The shape is in koordnri.answers.explain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from koordnri.cli.decision_table import console, escape, heading, print_errors, print_trust, shown, time_shown
from koordnri.model import fields
from koordnri.model.fields import split_name

Shape = Mapping[str, Any]
_VALUES = ("asked", "decided", "in the kernel")


def print_running(shape: Shape) -> None:
    """The fields in one table, then CPUs, policy, errors, and what would change the values."""
    out, pod = console(), shape["pod"]
    title = heading(pod["namespace"], pod["name"], pod["qos"], pod["kubeQoS"])
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("container", overflow="fold")
    table.add_column("field", no_wrap=True)
    for column in _VALUES:
        table.add_column(column, overflow="fold", min_width=8)
    table.add_column("why", overflow="fold", ratio=1, min_width=30)
    _add(table, "(pod)", pod)
    for container in shape["containers"]:
        state = "" if container["state"] == "running" else f" ({container['state']})"
        _add(table, container["name"] + state, container)
    out.print(table)
    for line in (*_cpus(shape["cpus"]), _policy(shape["policy"])):
        out.print(escape(line), soft_wrap=True)
    print_errors(out, shape["errors"])
    print_trust(out, shape["trust"])
    _print_lines(out, "yellow", "remark", shape["remarks"])
    _print_lines(out, "cyan", "would change it", shape["wouldChange"])


def _print_lines(out: Console, colour: str, word: str, lines: list[str]) -> None:
    for line in lines:
        out.print(f"[{colour}]{word}[/{colour}] {escape(line)}", soft_wrap=True)


def _add(table: Table, first: str, cgroup: Shape) -> None:
    rows = [*_rows(cgroup)] or [("[dim]nothing to set[/dim]", *[""] * 4)]
    for row in rows:
        table.add_row(escape(first), *row)
        first = ""
    table.add_section()


def _rows(cgroup: Shape) -> Iterator[tuple[str, ...]]:
    """Cells after the first one, as markup."""
    for name, field in (*cgroup["fields"].items(), *cgroup["observed"].items()):
        kernel = _coloured(_kernel(name, field), field["agrees"])
        recorded = {True: ", recorded", False: ", not recorded", None: ""}[field["recorded"]]
        middle = (_text(name, field["asked"]), _text(name, field["value"]), kernel)
        why = escape(f"{field['hook']}: {field['reason']}" if field["hook"] else field["reason"])
        how = field["route"] + recorded
        if field.get("since"):
            how += f", since {time_shown(field['since'])}: {field['cause']}"
        by = f"\n[dim]by {escape('; '.join(map(rule_text, field['rules'])))}[/dim]" if field.get("rules") else ""
        yield (escape(name), *middle, f"{why}{by}\n[dim]{escape(how)}[/dim]")
    for name, field in cgroup.get("restart", {}).items():
        why = escape(f"{field['hook']}: only by a restart: {field['reason']}")
        yield escape(name), "", _text(name, field["value"]), _text(name, field["now"]), why
    for name, field in cgroup["untouched"].items():
        why = f"left alone: {field['reason']}" if field["reason"] else "as kubelet asked: no hook decides it"
        yield _dim(name, _text(name, field["asked"]), _kernel(name, field), why)
    for name, reason in cgroup["skipped"].items():
        if name not in cgroup["untouched"]:
            yield _dim(name, "", "", f"left alone: {reason}")


def rule_text(rule: Shape) -> str:
    """One of a field's rules (koordnri.answers.rules)."""
    kind = {"class default": "the class's default, switched on by policy", "spec": "the pod's spec:"}.get(
        rule["kind"], rule["kind"]
    )
    strategy = f" (node strategy {rule['strategy']})" if rule["strategy"] else ""
    return f"{kind} {rule['name']}{strategy}"


def _dim(name: str, asked: str, kernel: str, why: str) -> tuple[str, ...]:
    cells = (escape(name), asked, "", kernel, escape(why))
    return tuple(f"[dim]{cell}[/dim]" if cell else "" for cell in cells)


def _kernel(name: str, field: Shape) -> str:
    text = _text(name, field["kernel"])
    if (effective := field.get("effective")) and not fields.CPU_CPUS.same(effective, field["kernel"]):
        text = f"{text} (in effect: {escape(effective)})".strip()
    if "outer" in field and field["outer"] != field["kernel"]:
        text += f" (its scope: {_text(name, field['outer'])})"
    return text


def _coloured(text: str, agrees: bool | None) -> str:
    colour = {True: "green", False: "red", None: ""}[agrees]
    return f"[{colour}]{text}[/{colour}]" if colour and text else text


def _text(name: str, value: Any) -> str:
    return escape(shown(split_name(name)[0], value))


def _cpus(cpus: Shape) -> Iterator[str]:
    for name, its in cpus["exclusive"].items():
        yield f"exclusive CPUs of {name}: {its}"
    if cpus["assigned"]:
        yield f"assigned by a scheduler: CPUs {cpus['assigned']}"
    for name, its in cpus["claimed"].items():
        yield f"CPUs of {name} from a DRA driver: {its}"
    pools = cpus["sharePools"]
    for kind in ("LS", "BE"):
        if pools[kind]:
            yield f"share pool of {kind}: {','.join(pool['cpuset'] for pool in pools[kind])} (from {pools['from']})"
    if not pools["from"]:
        yield "share pools: none; nobody has exclusive CPUs, or the node's CPUs are not known"


def _policy(policy: Shape) -> str:
    used = "".join(f"; {key}: node strategy {name}" for key, name in policy["strategies"].items())
    where = f" from {policy['source']}" if policy["source"] else ""
    return f"policy {policy['revision']}{where}, since {policy['since']}{used}"
