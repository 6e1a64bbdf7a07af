"""`koordnri log`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli
from tests.cli.tap.watched import watched


def run(directory: Path, *options: str) -> Result:
    done: list[Result] = []
    watched(directory, 1, lambda path: done.append(CliRunner().invoke(cli, ["log", "--nri-socket", path, *options])))
    return done[0]


def test_events_are_printed_as_yaml_documents(tmp_path: Path) -> None:
    done = run(tmp_path, "--events", "RunPodSandbox, createcontainer")
    assert done.exit_code == 2, "the runtime has closed the connection"
    assert [line for line in done.stdout.splitlines() if line.startswith("---")] == [
        "--- # Synchronize",
        "--- # RunPodSandbox",
        "--- # CreateContainer",
    ]
    *_, created = yaml.safe_load_all(done.stdout)
    assert created["container"]["annotations"]["a"] == "new", "plugins before it have adjusted"
    assert "the connection" in done.stderr


def test_events_are_printed_as_one_line_of_json_each(tmp_path: Path) -> None:
    done = run(tmp_path, "-o", "json", "--no-synchronize", "--events", "container")
    shapes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [shape["event"] for shape in shapes if not shape["event"].startswith("Post")] == [
        "CreateContainer",
        "StartContainer",
        "StopContainer",
    ]
    assert shapes[0]["pod"]["name"] == "p1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--events", "Create"], "expected pod, container, CreateContainer"),
        (["--index", "100"], "plugin index: expected two digits"),
        ([], "cannot connect to"),
    ],
)
def test_what_cannot_be_done_is_named(tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["log", "--nri-socket", str(tmp_path / "none"), *options])
    assert done.exit_code == 2
    assert message in done.stderr
