"""Refuse modules without tests of their own. Part of `make lint`.

A module has them in a test file that mirrors its path: `koordnri/a/b.py` in `tests/a/test_b.py`, a hook's module `b.py` in
`tests/hooks/test_b.py`. `test_b_<aspect>.py` beside it will do, too. Left out are `__init__` and `__main__`, generated modules, and modules
that decide nothing: data, names and interfaces, without a branch or a loop in any function. Every other exception is in `WHOLES`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"koordnri": "tests", "hooks/koordnri_hooks": "tests/hooks"}
"""directory of a package → directory of its tests"""
GENERATED = "_pb2"
_DECIDES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.While,
    ast.Try,
    ast.With,
    ast.Match,
    ast.BoolOp,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


class Whole(NamedTuple):
    """Modules that are tested together, through what they are parts of."""

    tests: str
    """the test file"""
    why: str
    modules: tuple[str, ...]
    """paths without `.py`, relative to the checkout; `*` stands for any text"""


_PRINTED = "what it prints is tested through its command"

WHOLES = (
    Whole(
        "tests/cli/test_bench.py", "parts of `koordnri bench` take seconds and run together", ("koordnri/cli/bench/*",)
    ),
    Whole(
        "tests/cli/test_explain.py",
        _PRINTED,
        ("koordnri/cli/decision_table", "koordnri/cli/explanation", "koordnri/cli/inputs"),
    ),
    Whole("tests/cli/test_explain_live.py", _PRINTED, ("koordnri/cli/live",)),
    Whole("tests/cli/test_explain_running.py", _PRINTED, ("koordnri/cli/running_table",)),
    Whole(
        "tests/cli/test_simulate.py",
        _PRINTED,
        ("koordnri/cli/simulation", "koordnri/cli/life_table"),
    ),
    Whole("tests/cli/test_manifest_text.py", _PRINTED, ("koordnri/cli/text_outline",)),
    Whole("tests/cli/test_report.py", _PRINTED, ("koordnri/cli/pod_log",)),
    Whole("tests/cli/test_status.py", _PRINTED, ("koordnri/cli/status_table",)),
    Whole("tests/answers/test_why.py", _PRINTED, ("koordnri/cli/why", "koordnri/cli/history_table")),
    Whole("tests/answers/test_map.py", "keys of one answer", ("koordnri/answers/cpu_holders",)),
    Whole("tests/hooks/test_gpu_vendors.py", "its keys are what the hook does", ("koordnri/policy/gpu_vendors",)),
    Whole("tests/cpus/test_life.py", "CPUs change hands during a container's life", ("koordnri/daemon/promotions",)),
    Whole(
        "tests/daemon/test_daemon.py",
        "what is wired is the daemon",
        ("koordnri/daemon/wiring", "koordnri/daemon/cluster_parts"),
    ),
)


def decides(source: str) -> bool:
    """Whether a function of the module has a branch or a loop, so that there is something to test."""
    functions = (
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    return any(isinstance(node, _DECIDES) for function in functions for node in ast.walk(function))


def untested(root: Path) -> Iterator[tuple[str, str]]:
    """(module, its test file) where that file is missing; as paths relative to the checkout, the module's without `.py`."""
    for package, tests in PACKAGES.items():
        for path in sorted((root / package).rglob("*.py")):
            name = path.stem
            if name.startswith("__") or name.endswith(GENERATED):
                continue
            folder = root / tests / path.parent.relative_to(root / package)
            mirrored = (folder / f"test_{name}.py").exists() or any(folder.glob(f"test_{name}_*.py"))
            if not mirrored and decides(path.read_text()):
                expected = (folder / f"test_{name}.py").relative_to(root)
                yield str(path.relative_to(root).with_suffix("")), str(expected)


def problems(root: Path, wholes: Sequence[Whole]) -> Iterator[str]:
    """What is wrong, as lines for people."""
    unused = {pattern: whole for whole in wholes for pattern in whole.modules}
    for module, expected in untested(root):
        patterns = [pattern for whole in wholes for pattern in whole.modules if fnmatchcase(module, pattern)]
        for pattern in patterns:
            unused.pop(pattern, None)
        if not patterns:
            yield f"{module}.py: expected {expected}, found none"
    for whole in wholes:
        if not (root / whole.tests).exists():
            yield f"{whole.tests}: WHOLES in tools/check_tests.py names it, but it does not exist"
    for pattern in unused:
        yield f"{pattern}: WHOLES in tools/check_tests.py names it, but no module without a test file has this name"


def main(root: Path = ROOT, wholes: Sequence[Whole] = WHOLES) -> int:
    """The exit code: 1 where a module has no tests of its own."""
    found = list(problems(root, wholes))
    for line in found:
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
