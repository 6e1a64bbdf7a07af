"""`koordnri differ`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from tests.cli.tap.watched import watched


def run(directory: Path, taps: int, *options: str) -> Result:
    done: list[Result] = []
    watched(
        directory, taps, lambda path: done.append(CliRunner().invoke(cli, ["differ", "--nri-socket", path, *options]))
    )
    return done[0]


def test_what_a_plugin_between_the_indices_changes_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, 2)
    assert done.exit_code == 2, "the runtime has closed the connections"
    head = "[00 to 99] CreateContainer shop/p1 c1: "
    assert set(done.stdout.splitlines()) == {
        f"{head}~ container.annotations.a: old -> new",
        f"{head}+ container.env: COLOUR=green",
        f"{head}~ container.linux.resources.cpu.cpus: 0-3 -> 2-3",
    }


def test_each_stretch_is_compared_on_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, 3, "--indices", "60,10,99", "-o", "json", "--all")
    shapes = [json.loads(line) for line in done.stdout.splitlines()]
    created = {(s["above"], s["below"]): len(s["changes"]) for s in shapes if s["method"] == "CreateContainer"}
    assert created == {("10", "60"): 3, ("60", "99"): 0}
    assert {s["method"] for s in shapes} >= {"RunPodSandbox", "StartContainer", "StopContainer"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--indices", "00,00"], "expected at least two different ones"),
        (["--indices", "0,99"], 'expected two digits such as 10, got "0"'),
        ([], "cannot connect to"),
    ],
)
def test_what_cannot_be_done_is_named(tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["differ", "--nri-socket", str(tmp_path / "none"), *options])
    assert done.exit_code == 2
    assert message in done.stderr
