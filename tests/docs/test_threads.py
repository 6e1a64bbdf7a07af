"""docs/design/threads.md names every thread, lock, signal and queue of the code, and no others."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.constructions import ROOT, constructions, in_code, modules

PAGE = ROOT / "docs/design/threads.md"
OTHER_WAYS = {"asyncio", "concurrent", "multiprocessing", "_thread", "gevent", "trio", "anyio"}
"""Top-level modules by which a program comes to threads, loops or processes that the page says nothing of."""


def _rows(page: str) -> list[tuple[set[str], str]]:
    """(names in the first cell, file) of each row of a table whose second cell is a file."""
    rows = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) > 1 and (file := re.fullmatch(r"`(\S+\.py)`", cells[1])):
            rows.append((set(re.findall(r"`([^`]+)`", cells[0])), file[1]))
    return rows


def _fits(name: str, pattern: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".+"), name) is not None


IN_CODE = {(one.file, one.name) for one in in_code()}
ON_PAGE = {(file, name) for names, file in _rows(PAGE.read_text()) for name in names}


def test_the_page_names_all_that_the_code_constructs() -> None:
    missing = {
        (file, pattern)
        for file, pattern in IN_CODE
        if not any(of == file and _fits(name, pattern) for of, name in ON_PAGE)
    }
    assert not missing, f"name these in a table of {PAGE.name}, as | `name` | `file` | … |"


def test_the_code_has_all_that_the_page_names() -> None:
    stale = {(file, name) for file, name in ON_PAGE if not any(of == file and _fits(name, by) for of, by in IN_CODE)}
    assert not stale, f"the code has none of these any more; mend {PAGE.name}"


NOT_THE_DAEMONS = {"koordnri/cli/kubectl.py"}
"""Commands that never run in the daemon; this one asks many nodes side by side."""


def test_there_is_no_other_way_to_run_beside() -> None:
    others = {file: found for file, text in modules() if (found := _imported(text) & OTHER_WAYS)}
    assert others.keys() <= NOT_THE_DAEMONS, f"{PAGE.name} says that there are threads only"


def _imported(text: str) -> set[str]:
    """Top-level names of the modules that a text imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


def test_imports_are_found() -> None:
    assert _imported("import asyncio.events\ndef f():\n from concurrent.futures import Executor") == {
        "asyncio",
        "concurrent",
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("class A:\n def __init__(self):\n  self._lock = threading.Lock()", "A._lock"),
        ("class A:\n def renew(self):\n  self._wake: threading.Event = threading.Event()", "A._wake"),
        ("class A:\n def ask(self):\n  answer = queue.SimpleQueue()", "A.ask.answer"),
        ("def f():\n done = Condition()", "f.done"),
        ("threading.Thread(target=run, name='nri').start()", "nri"),
        ("threading.Thread(target=run, name=f'kube-{noun}')", "kube-*"),
        ("threading.Thread(target=run)", "a thread without a name"),
        ("class Port(socketserver.ThreadingMixIn, socketserver.TCPServer): pass", "Port"),
    ],
)
def test_constructions_are_found(text: str, name: str) -> None:
    assert [one.name for one in constructions(text)] == [name]


def test_an_event_of_the_model_is_no_signal() -> None:
    assert not constructions("self.event = Event('create')\nother = events.Event(1)")


def test_rows_are_read() -> None:
    page = "| lock | file |\n|---|---|\n| `A._lock`, `A._other` | `koordnri/a.py` | x |\n| no file | text |"
    assert _rows(page) == [({"A._lock", "A._other"}, "koordnri/a.py")]
