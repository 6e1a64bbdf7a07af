"""Finds what the code constructs of threads, locks, signals and queues, and says how docs/design/threads.md has to name it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MODULES = (ROOT / "koordnri", ROOT / "hooks/koordnri_hooks")

LOCKS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
SIGNALS = {"Event", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"}
THREADS = {"Thread", "Timer"}
SERVERS = {"ThreadingMixIn"}
"""Classes of the library of which a subclass starts threads."""


class Construction(NamedTuple):
    """One place in the code."""

    file: str
    """below the repository"""
    name: str
    """Of a lock, signal or queue its place: `Class.attribute`, or `function.variable`. Of a thread its own name, with `*` for what is
    known at run time only."""
    line: int
    kind: str
    """name of the library's class"""


def modules() -> Iterator[tuple[str, str]]:
    """(file, text) of all of the product's modules."""
    for folder in MODULES:
        for path in sorted(folder.rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def constructions(text: str, file: str = "module.py") -> list[Construction]:
    """What a module's text constructs."""
    finder = _Finder(file)
    finder.visit(ast.parse(text))
    return finder.found


def in_code() -> list[Construction]:
    """What the product constructs."""
    return [one for file, text in modules() for one in constructions(text, file)]


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str) -> None:
        self.found: list[Construction] = []
        self._file = file
        self._scopes: list[str] = []
        self._targets: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if _last(base) in SERVERS:
                self._add(node.name, node, base)
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
            self._add(_thread_name(node), node, node.func)
        elif made in LOCKS | SIGNALS and _is_of_library(node.func):
            self._add(self._place(), node, node.func)
        self.generic_visit(node)

    def _add(self, name: str, node: ast.ClassDef | ast.Call, kind: ast.expr) -> None:
        self.found.append(Construction(self._file, name, node.lineno, _last(kind)))

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
