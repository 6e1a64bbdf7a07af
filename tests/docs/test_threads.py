"""docs/design/threads.md names every thread, lock, signal and queue of the code, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/design/threads.md"
MODULES = [ROOT / "koordnri", ROOT / "hooks/koordnri_hooks"]

LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
SIGNALS = {"Event", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"}
THREADS = {"Thread", "Timer", "ThreadingMixIn"}
OTHER_WAYS = {"asyncio", "concurrent", "multiprocessing", "_thread", "gevent", "trio", "anyio"}
"""Top-level modules by which a program comes to threads, loops or processes that the page says nothing of."""

Named = tuple[str, str]
"""(file below the repository, name as the page has it); in what the code has, the name may be a pattern with `*`"""


class _Finder(ast.NodeVisitor):
    """Collects what a module constructs. A lock's name is its place: `Class.attribute`, or `function.variable`."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: set[Named] = set()
        self._scopes: list[str] = []
        self._targets: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(_last(base) == "ThreadingMixIn" for base in node.bases):
            self.found.add((self.file, node.name))
        self._within(node, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._within(node, node.name)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assigned(node, node.targets[0])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assigned(node, node.target)

    def visit_Call(self, node: ast.Call) -> None:
        made = _last(node.func)
        if made in THREADS:
            self.found.add((self.file, _thread_name(node)))
        elif made in LOCKS | SIGNALS and _is_of_library(node.func):
            self.found.add((self.file, self._place()))
        self.generic_visit(node)

    def _within(self, node: ast.AST, scope: str) -> None:
        self._scopes.append(scope)
        self.generic_visit(node)
        self._scopes.pop()

    def _assigned(self, node: ast.AST, target: ast.expr) -> None:
        self._targets.append(ast.unparse(target))
        self.generic_visit(node)
        self._targets.pop()

    def _place(self) -> str:
        target = self._targets[-1] if self._targets else "?"
        if target.startswith("self."):  # an attribute is the object's, whichever method makes it
            return f"{self._scopes[0]}.{target.removeprefix('self.')}"
        return ".".join([*self._scopes, target])


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_of_library(node: ast.expr) -> bool:
    """`threading.Event()`, not `events.Event()`; a bare name is taken for the library's, but `Event`, which is our model's too."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id in {"threading", "queue"}
    return _last(node) != "Event"


def _thread_name(call: ast.Call) -> str:
    name = next((k.value for k in call.keywords if k.arg == "name"), None)
    match name:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(p.value) if isinstance(p, ast.Constant) else "*" for p in parts)
        case ast.Name():
            return "*"
        case _:
            return "a thread without a name"


def constructed(text: str, file: str = "module.py") -> set[Named]:
    """What a module's text constructs."""
    finder = _Finder(file)
    finder.visit(ast.parse(text))
    return finder.found


def _modules() -> Iterator[tuple[str, str]]:
    for folder in MODULES:
        for path in sorted(folder.rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


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


IN_CODE = {found for file, text in _modules() for found in constructed(text, file)}
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


def test_there_is_no_other_way_to_run_beside() -> None:
    others = {file: found for file, text in _modules() if (found := _imported(text) & OTHER_WAYS)}
    assert not others, f"{PAGE.name} says that there are threads only"


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
    assert constructed(text) == {("module.py", name)}


def test_an_event_of_the_model_is_no_signal() -> None:
    assert not constructed("self.event = Event('create')\nother = events.Event(1)")


def test_rows_are_read() -> None:
    page = "| lock | file |\n|---|---|\n| `A._lock`, `A._other` | `koordnri/a.py` | x |\n| no file | text |"
    assert _rows(page) == [({"A._lock", "A._other"}, "koordnri/a.py")]
