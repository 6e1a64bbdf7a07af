"""`make test` and `make test-full` together run every test, and CI runs both."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest


def pytest_command(root: Path, target: str) -> str:
    """The line by which a target of the Makefile starts pytest."""
    shown = subprocess.run(["make", "--dry-run", target], cwd=root, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in shown.splitlines() if "-m pytest" in line]
    return line


def chosen(command: str) -> str:
    """Its expression of marks."""
    found = re.search(r' -m "([^"]+)"', command)
    assert found, command
    return found[1]


def test_what_test_leaves_out_test_full_runs(root: Path) -> None:
    assert chosen(pytest_command(root, "test")) == "not full"
    assert chosen(pytest_command(root, "test-full")) == "full or hypothesis"


def test_property_tests_try_more_examples_in_test_full(root: Path) -> None:
    profile = "HYPOTHESIS_PROFILE=long"
    assert profile in pytest_command(root, "test-full")
    assert profile not in pytest_command(root, "test")


@pytest.mark.parametrize("target", ["test", "test-full", "unit"])
def test_a_test_that_hangs_ends(root: Path, target: str) -> None:
    database = subprocess.run(
        ["make", "--print-data-base", "--dry-run", target], cwd=root, capture_output=True, text=True
    )
    assert re.search(r"^PYTEST_TIMEOUT \??= \d+$", database.stdout, re.MULTILINE)
    assert re.search(r"^export .*PYTEST_TIMEOUT", (root / "Makefile").read_text(), re.MULTILINE)


def test_ci_runs_both(root: Path) -> None:
    script = (root / ".ci/run").read_text()
    assert re.findall(r"^make (\S+)", script, re.MULTILINE) == ["test", "test-full"]
    assert "export CI=true" in script


def test_what_the_first_of_cis_runs_leaves_out_is_in_the_second(root: Path) -> None:
    first = re.findall(r'^make test .*-m "not full and not hypothesis"', (root / ".ci/run").read_text(), re.MULTILINE)
    second = re.findall(r'-m "full or hypothesis"', (root / "Makefile").read_text())
    assert (len(first), len(second)) == (1, 1)
