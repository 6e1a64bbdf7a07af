"""`koordnri conformance` as a command."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli

PLUGIN = [sys.executable, "-m", "tests.conformance.faulty", "{socket}"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["conformance", *arguments])


def test_a_passing_plugin_ends_with_0_and_a_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    options = ["--nri-version", "0.12.5", "--check", "CF01", "--patience", "60", "--junit", str(report)]
    result = run(*options, "--", *PLUGIN)
    assert result.exit_code == 0, result.output
    assert "1 passed, 0 failed" in result.output
    assert 'tests="1"' in report.read_text()


def test_a_failing_plugin_ends_with_1() -> None:
    result = run("--nri-version", "0.12.5", "--check", "CF01", "--", *PLUGIN, "index")
    assert result.exit_code == 1
    assert "expected an index of two digits" in result.output


def test_the_checks_are_listed() -> None:
    assert run("--list").output.splitlines()[0] == "CF01  it registers with a valid name and index"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "expected a COMMAND"),
        (["--check", "CF77", "--", "x"], 2, "unknown check CF77"),
        (["--nri-version", "9.9", "--", "x"], 2, "expected versions from 0.6.0"),
        (["--", "/no/such/plugin", "{socket}"], 2, "/no/such/plugin cannot be started: No such file"),
    ],
)
def test_what_cannot_be_done_is_named(arguments: list[str], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.output
