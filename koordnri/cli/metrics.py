"""`koordnri metrics`: every metric of the daemon and what it means. Values are on `/metrics`."""

from __future__ import annotations

import json
from typing import Any

import click

from koordnri.observe.metric import Alert, MetricRow
from koordnri.observe.metric_table import TABLE, TOPICS


@click.command()
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def metrics(output: str) -> None:
    """Print all metrics: name, type, labels, value. The daemon is not asked.

    JSON has their meaning and their alerts, too.
    """
    if output == "json":
        print(json.dumps([as_json(row) for row in TABLE.values()], indent=2, ensure_ascii=False))
    else:
        _print_table()


def as_json(row: MetricRow) -> dict[str, Any]:
    """One metric for programs; `alert` is null where there is none."""
    return {
        "name": row.sample,
        "type": row.type,
        "unit": row.unit,
        "labels": list(row.labels),
        "help": row.help,
        "meaning": row.meaning,
        "alert": None if row.alert is None else _alert(row.alert),
    }


def _alert(alert: Alert) -> dict[str, str]:
    return {
        "name": alert.name,
        "expr": alert.expr,
        "for": alert.hold,
        "severity": alert.severity,
        "summary": alert.summary,
    }


def _print_table() -> None:
    from rich.table import Table

    from koordnri.cli.decision_table import console, escape

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("metric", "type", "labels", "value"):
        table.add_column(column, overflow="fold", no_wrap=column == "metric")
    for topic, rows in TOPICS.items():
        table.add_section()
        table.add_row(f"[bold]{escape(topic)}[/bold]")
        for row in rows:
            table.add_row(row.sample, row.type, ",".join(row.labels), escape(row.help))
    console().print(table)
