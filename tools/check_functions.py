"""Refuse functions of more than 60 lines. Part of `make lint`; ruff's C901 counts their branches.

An exception carries its reason behind its first line: `def long_one():  # long: why it is easier to read in one piece`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKED = ("koordnri", "hooks", "tools")
GENERATED = "_pb2.py"
MOST_LINES = 60
EXCEPTION = re.compile(r"# long: \S")


def too_long(source: str) -> Iterator[tuple[int, str, int]]:
    """(line, name, number of lines) of each function that is too long and has no reason for it."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        head = lines[node.lineno - 1 : node.body[0].lineno]
        if count > MOST_LINES and not any(EXCEPTION.search(line) for line in head):
            yield node.lineno, node.name, count


def main(root: Path = ROOT) -> int:
    """The exit code: 1 where a function is too long."""
    found = False
    for path in sorted(path for name in CHECKED for path in (root / name).rglob("*.py")):
        if path.name.endswith(GENERATED):
            continue
        for line, name, count in too_long(path.read_text()):
            found = True
            print(f"{path.relative_to(root)}:{line}: {name} has {count} lines, expected at most {MOST_LINES}")
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
