"""What runs at each commit are programs that the locked environment has, and commands of `make lint`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = Path(__file__).resolve().parents[2] / ".pre-commit-config.yaml"
HOOKS: list[dict[str, Any]] = [hook for repo in yaml.safe_load(CONFIG.read_text())["repos"] for hook in repo["hooks"]]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: str(hook["id"]))
def test_it_runs_from_the_environment_and_is_part_of_lint(root: Path, hook: dict[str, Any]) -> None:
    assert hook["language"] == "system"
    program, *arguments = hook["entry"].split()
    assert program.startswith(".venv/bin/")
    command = " ".join([program.removeprefix(".venv/bin/"), *(a for a in arguments if a != "--force-exclude")])
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (root / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    lines = [line.strip().removeprefix("$(BIN)/") for line in recipe[1].splitlines()]
    matching = [line for line in lines if line.startswith(command.removesuffix(" --check"))]
    assert matching, f"make lint has no {command}"


def test_nothing_is_fetched() -> None:
    assert {repo["repo"] for repo in yaml.safe_load(CONFIG.read_text())["repos"]} == {"local"}
