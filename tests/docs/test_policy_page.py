"""docs/use/policy.md is what tools/policy_page.py makes, and has every key of the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from koordnri.cli.policy_schema import policy_schema
from tools import policy_page


def test_the_page_is_what_the_tool_makes() -> None:
    # Otherwise: run tools/policy_page.py.
    assert policy_page.PAGE.read_text() == policy_page.page()


def named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value.get("properties", {})
        for inner in value.values():
            yield from named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner)


def test_every_key_of_every_definition_has_a_row() -> None:
    text = policy_page.page()
    rows = {
        name for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    used = {name for one in policy_schema()["$defs"].values() for name in named(one)}
    assert used - rows - {"nodeSelector", "matchLabels", "matchExpressions", "key", "operator", "values"} == set()


def test_defaults_of_a_class_that_differ_stand_beside_it() -> None:
    row = next(line for line in policy_page.page().splitlines() if line.startswith("| `beClass`"))
    assert "resctrlQOS: catRangeEndPercent `30`" in row
    assert "groupIdentity `-1`" in row
    assert "mbaPercent" not in row


def test_check_finds_a_page_that_is_stale(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    stale = tmp_path / "policy.md"
    stale.write_text("old")
    monkeypatch.setattr(policy_page, "PAGE", stale)
    monkeypatch.setattr("sys.argv", ["policy_page.py", "--check"])
    assert policy_page.main() == 1
    assert "run tools/policy_page.py" in capsys.readouterr().out
    assert stale.read_text() == "old"
