"""Tables of what would change, and of what was given back. Both read the JSON shapes, since a daemon sends these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from koordnri.cli.decision_table import class_heading, console, escape, shown
from koordnri.model.fields import split_name
from koordnri.model.routes import RESCTRL
from koordnri.reconcile.compare.rows import RESTART

_OWN = "(pod)"


def print_differences(found: Mapping[str, Any]) -> None:
    """A table, remarks, and a summary line."""
    out = console()
    differences = found["differences"]
    if differences:
        table = _table("pod", "container", "field", "before", "after", "route", "reason")
        for d, names in zip(differences, _names(differences), strict=True):
            values = (_value(d, "before"), _value(d, "after"))
            route = f"{d['route']} + record" if d["recorded"] else d["route"]
            table.add_row(*map(escape, (*names, d["field"], *values, route, d["reason"])))
        out.print(table)
    for remark in found["remarks"]:
        where = ", ".join(filter(None, _where(remark)))
        hook = f"hook {remark['hook']}, " if remark["hook"] else ""
        _line(out, f"remark: {hook}{where}: {remark['message']}")
    _line(out, _sum(found))


def print_released(released: Sequence[Mapping[str, Any]]) -> None:
    """A table of what was given back, or could not be."""
    out = console()
    if not released:
        return
    table = _table("pod", "container", "field", "before", "after", "status")
    for r, names in zip(released, _names(released), strict=True):
        status = "stays until a restart" if r["status"] == RESTART else r["status"]
        status = f"{status}: {r['error']}" if r["error"] else status
        table.add_row(*map(escape, (*names, r["field"], _value(r, "before"), _value(r, "after"), status)))
    out.print(table)


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _names(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Pod and container of each row; empty where they repeat the row above."""
    names, last = [], ("", "")
    for row in rows:
        pod, container = _where(row)
        names.append(("" if pod == last[0] else pod, "" if (pod, container) == last else container))
        last = (pod, container)
    return names


def _where(row: Mapping[str, Any]) -> tuple[str, str]:
    """Pod and container; for a class or resctrl group its name and "". An older daemon sends no rows for those."""
    if kube_class := row.get("class"):
        return class_heading(kube_class), ""
    if group := row.get("group"):
        owner = f" of {row['namespace']}/{row['pod']}" if row["pod"] else ""
        return f"resctrl group {group}{owner}", ""
    return f"{row['namespace']}/{row['pod']}", row["container"] or _OWN


def _value(row: Mapping[str, Any], which: str) -> str:
    value = row[which]
    if value is None:
        return "none of ours" if row.get("route") in (RESTART, RESCTRL) else "as kubelet has it"
    return shown(split_name(row["field"])[0], value) or "none"


def _sum(found: Mapping[str, Any]) -> str:
    differences = found["differences"]
    policies = f"policy {found['old']} → {found['new']}"
    compared = f"{_many(found['pods'], 'pod')} with {_many(found['containers'], 'container')}"
    if not differences:
        return f"{policies}: nothing changes in {compared}"
    containers = {(d["namespace"], d["pod"], d["container"]) for d in differences if d["container"]}
    above = {d["class"] for d in differences if d.get("class")}
    classes = above - {"root"}
    groups = {d["group"] for d in differences if d.get("group")}
    pods = {(d["namespace"], d["pod"]) for d in differences if not d.get("class") and not d.get("group")}
    changed = [f"{_many(len(containers), 'container')} in {_many(len(pods), 'pod')}"] if pods else []
    changed += [_many(len(classes), "QoS class")] if classes else []
    changed += ["the whole machine"] if "root" in above else []
    changed += [_many(len(groups), "resctrl group")] if groups else []
    waiting = sum(d["route"] == RESTART for d in differences)
    text = f"{policies}: {_many(len(differences), 'field')} of {_listed(changed)}"
    later = f", {waiting} of them not before a restart" if waiting else ""
    return f"{text} would change{later}; compared were {compared}"


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def _line(out: Console, text: str) -> None:
    out.print(escape(text), soft_wrap=True)
