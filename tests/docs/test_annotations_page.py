"""docs/use/annotations.md has every annotation, label and resource that the code names, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/use/annotations.md"
NAME = re.compile(r"(?:[a-z]+\.)?(?:koordinator|koordnri)\.sh/[A-Za-z-]+|kubernetes\.io/(?:batch|mid)-[a-z]+")


def constants(tree: ast.Module) -> Iterator[str]:
    """Texts that are values, docstrings left out."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def in_the_code() -> set[str]:
    files = [*(ROOT / "koordnri").rglob("*.py"), *(ROOT / "hooks").rglob("*.py")]
    return {text for file in files for text in constants(ast.parse(file.read_text())) if NAME.fullmatch(text)}


def on_the_page() -> set[str]:
    cells = re.findall(r"^\| (`[^|]*) \|", PAGE.read_text(), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell) if NAME.fullmatch(name)}


def test_the_tables_have_the_names_of_the_code() -> None:
    # The code builds these two from the kind of device.
    built = {"koordinator.sh/gpu", "koordinator.sh/rdma"}
    assert on_the_page() - built == in_the_code() - built


def test_the_qos_label_is_among_them() -> None:
    assert "koordinator.sh/qosClass" in in_the_code()
