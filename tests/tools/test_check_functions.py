"""Functions of more than 60 lines are refused, unless a reason stands beside them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_functions", ROOT / "tools/check_functions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


functions = _load()


def function(lines: int, head: str = "def f():") -> str:
    return "\n".join([head, *["    pass"] * (lines - len(head.splitlines()))])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (function(60), []),
        (function(61), [(1, "f", 61)]),
        (function(61, "async def f():"), [(1, "f", 61)]),
        (function(61, "def f():  # long: a table"), []),
        (function(61, "def f(\n    a,\n):  # long: a table"), []),
        (function(61, "def f():  # long:"), [(1, "f", 61)]),
        (function(61, "class A:"), []),
    ],
    ids=["60 lines", "61 lines", "async", "a reason", "a reason behind the last line", "no reason", "a class"],
)
def test_long_functions_are_found(source: str, found: list[tuple[int, str, int]]) -> None:
    assert list(functions.too_long(source)) == found


def test_every_checked_directory_is_read_and_generated_code_is_not(tmp_path: Path, capsys) -> None:
    for name in functions.CHECKED:
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below/long.py").write_text(function(61))
        (tmp_path / name / "below/long_pb2.py").write_text(function(61))
    assert functions.main(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{name}/below/long.py:1: f has 61 lines, expected at most 60" for name in sorted(functions.CHECKED)
    ]


def test_this_checkout_has_none() -> None:
    assert functions.main() == 0
