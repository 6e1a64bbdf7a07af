"""docs/use/events.md explains every Event that the code sends."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/use/events.md"
SENDERS = re.compile(r"_?(warn|warn_pod|warn_node|announce_pod)")


def reasons_in(tree: ast.Module) -> Iterator[str]:
    """Constants that their docstring calls reasons of Events, and words of one Event that stand in its call."""
    run: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            run.append(str(statement.value.value))
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            text = str(statement.value.value)
            if text.startswith("reason of the Event"):
                yield run[-1]
            elif text.startswith("Reasons of Events"):
                yield from run
        run = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and SENDERS.fullmatch(call.func.attr):
            words = [str(a.value) for a in call.args[:2] if isinstance(a, ast.Constant)]
            yield from (word for word in words if re.fullmatch(r"[A-Z]\w+", word))


def test_the_page_has_a_row_for_every_reason_by_name() -> None:
    sent = {
        reason
        for path in (ROOT / "koordnri").rglob("*.py")
        for reason in reasons_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == sorted(sent)
