"""Modules without a test file that mirrors their path are refused, unless they decide nothing or a reason is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BRANCH = "def f(x):\n    return 1 if x else 2\n"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tests", ROOT / "tools/check_tests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = _load()


def write(root: Path, *paths: str, source: str = BRANCH) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(source)


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("koordnri/a/b.py", "tests/a/test_b.py"),
        ("koordnri/a/b.py", "tests/a/test_b_faults.py"),
        ("koordnri/chain.py", "tests/test_chain.py"),
        ("hooks/koordnri_hooks/b.py", "tests/hooks/test_b.py"),
    ],
)
def test_a_module_with_its_test_file_is_good_and_without_it_is_not(tmp_path: Path, module: str, tests: str) -> None:
    write(tmp_path, module)
    (problem,) = check.problems(tmp_path, ())
    assert problem.startswith(f"{module}: expected {tests.replace('_faults', '')}")
    write(tmp_path, tests)
    assert list(check.problems(tmp_path, ())) == []


@pytest.mark.parametrize("other", ["tests/test_b.py", "tests/a/test_bc.py", "tests/a/b.py"])
def test_another_file_will_not_do(tmp_path: Path, other: str) -> None:
    write(tmp_path, "koordnri/a/b.py", other)
    assert len(list(check.problems(tmp_path, ()))) == 1


def test_generated_modules_and_those_of_python_need_none(tmp_path: Path) -> None:
    write(tmp_path, "koordnri/a/__init__.py", "koordnri/__main__.py", "koordnri/a/x_pb2.py")
    assert list(check.problems(tmp_path, ())) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("X = [i for i in range(3)]\n", False),
        ("class A:\n    x: int = 1\n    def f(self):\n        return self.x\n", False),
        (BRANCH, True),
        ("class A:\n    def f(self):\n        for i in self:\n            print(i)\n", True),
        ("async def f():\n    try:\n        pass\n    except OSError:\n        pass\n", True),
        ("f = lambda x: x or 1\n", True),
    ],
)
def test_a_module_decides_where_a_function_has_a_branch_or_a_loop(source: str, expected: bool) -> None:
    assert check.decides(source) is expected


def test_a_whole_stands_for_its_parts(tmp_path: Path) -> None:
    write(tmp_path, "koordnri/a/b.py", "koordnri/a/c.py", "tests/a/test_all.py")
    whole = check.Whole("tests/a/test_all.py", "parts of one thing", ("koordnri/a/*",))
    assert list(check.problems(tmp_path, [whole])) == []


def test_an_exception_that_is_not_needed_any_more_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "koordnri/a/b.py", "tests/a/test_b.py")
    whole = check.Whole("tests/a/test_all.py", "parts of one thing", ("koordnri/a/b",))
    assert [line.partition(":")[0] for line in check.problems(tmp_path, [whole])] == [
        "tests/a/test_all.py",
        "koordnri/a/b",
    ]


def test_every_exception_has_its_reason() -> None:
    assert all(whole.why for whole in check.WHOLES)


def test_this_checkout_has_tests_of_all_its_modules() -> None:
    assert check.main() == 0
