"""Every test that the threat model names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


def test_each_row_of_a_table_with_tests_names_one() -> None:
    tables = [part for part in re.split(r"\n\n", PAGE) if re.search(r"\| test \|$", part.partition("\n")[0])]
    rows = [row for table in tables for row in table.strip().splitlines()[2:]]
    assert len(tables) == 3
    assert [row for row in rows if "`tests/" not in row.split("|")[3] and row.split("|")[3].strip() != "the same"] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_is_there(file: str, name: str) -> None:
    assert name, f"{file}: name the test, as {file}::test_…"
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
