"""`koordnri metrics` prints every metric, and asks no daemon."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.observe.metric_table import TABLE, TOPICS


def metrics(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["metrics", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_table_has_a_line_for_every_metric_under_its_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = metrics().splitlines()
    starts = [line.split("  ")[0] for line in lines[1:] if not line.startswith(" ")]
    assert starts == [line for topic, rows in TOPICS.items() for line in (topic, *(row.sample for row in rows))]
    (events,) = [line for line in lines if line.startswith("koordnri_events_total")]
    assert events.split() == [
        "koordnri_events_total",
        "counter",
        "event,outcome",
        *TABLE["koordnri_events"].help.split(),
    ]


def test_json_has_meaning_and_alert() -> None:
    by_name = {row["name"]: row for row in json.loads(metrics("-o", "json"))}
    assert len(by_name) == len(TABLE)
    good = by_name["koordnri_policy_good"]
    assert (good["type"], good["unit"], good["labels"]) == ("gauge", "", [])
    assert "last good policy" in good["meaning"]
    assert (good["alert"]["expr"], good["alert"]["for"]) == ("koordnri_policy_good == 0", "5m")
    assert by_name["koordnri_hook_duration_seconds"]["unit"] == "seconds"
    assert by_name["koordnri_pods"]["alert"] is None
