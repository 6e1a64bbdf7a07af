"""The values that docs/design/walkthroughs.md follows are those that koordnri decides for the examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from koordnri.cli import cli
from tests.docs.constructions import ROOT

PAGE = (ROOT / "docs/design/walkthroughs.md").read_text()
EXAMPLES = ROOT / "examples"
POLICY, NODE = EXAMPLES / "policy.yaml", EXAMPLES / "node.yaml"


def output(*arguments: str | Path) -> Any:
    """What the command prints as JSON."""
    result = CliRunner().invoke(cli, [*map(str, arguments), "--node", str(NODE), "-o", "json"])
    return json.loads(result.stdout)


def nginx_high(pods: Path) -> int:
    """memory.high of the container that the page follows."""
    explained = output("explain", "-f", pods, "--policy", POLICY)
    web = next(one for one in explained if one["pod"]["name"] == "web")
    container = next(one for one in web["containers"] if one["name"] == "nginx")
    return int(container["fields"]["memory.high"]["value"])


@pytest.mark.parametrize("percent", [95, 80])
def test_memory_high_by_the_annotation(percent: int, tmp_path: Path) -> None:
    pods = tmp_path / "pods.yaml"
    text = (EXAMPLES / "pods.yaml").read_text()
    assert '"throttlingPercent":95' in text, "as the page has it at first"
    pods.write_text(text.replace('"throttlingPercent":95', f'"throttlingPercent":{percent}'))
    assert str(nginx_high(pods)) in PAGE


def test_memory_min_by_the_policy(tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(POLICY.read_text().replace('"minLimitPercent": 50', '"minLimitPercent": 60'))
    found = output("diff", "-f", EXAMPLES / "pods.yaml", "--policy", new, "--against", POLICY)
    row = next(one for one in found["differences"] if one["container"] == "nginx")
    assert (row["field"], row["route"], row["recorded"]) == ("memory.min", "write", True)
    assert f"from {row['before']} to {row['after']} bytes" in " ".join(PAGE.split())
    assert f"reads back: {row['after'] // 4096 * 4096}" in PAGE, "the kernel rounds down to pages"
