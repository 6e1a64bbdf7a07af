"""What the pages of docs/design name, the code has: `Class.member` anywhere, and in tables the names beside a file."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/design").glob("*.md"))
FOLDERS = [ROOT / "koordnri", ROOT / "hooks/koordnri_hooks"]
THREADS_PAGE = "threads.md"
"""Its tables name threads and variables too, and have a test of their own."""

MEMBER = re.compile(r"`(_?[A-Z]\w*)\.([a-z_]\w*)`")
NAME = re.compile(r"`(_?[A-Za-z]\w*)`")
ROW = re.compile(r"\| *[^|]*\| `((?:koordnri|hooks)/\S+\.py)` \|([^|]*)\|")


class _Code:
    """Classes with their members and bases, and the names that each file defines at its top."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.members: dict[str, set[str]] = defaultdict(set)
        self.bases: dict[str, set[str]] = defaultdict(set)
        self.top: dict[str, set[str]] = {}
        for file, text in texts.items():
            tree = ast.parse(text)
            self.top[file] = {name for node in tree.body for name in _defined(node)}
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    self._take(node)

    def has(self, cls: str, member: str) -> bool:
        """Whether the class, or one that it is derived from, has the member."""
        return member in self.members[cls] or any(self.has(base, member) for base in self.bases[cls] - {cls})

    def _take(self, cls: ast.ClassDef) -> None:
        self.bases[cls.name] |= {ast.unparse(base).split("[")[0].split(".")[-1] for base in cls.bases}
        self.members[cls.name] |= {name for node in cls.body for name in _defined(node)}
        for node in ast.walk(cls):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) == "self"
            ):
                self.members[cls.name].add(node.attr)


def _defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


CODE = _Code({str(p.relative_to(ROOT)): p.read_text() for folder in FOLDERS for p in folder.rglob("*.py")})


def unknown_members(page: str, code: _Code) -> list[str]:
    """`Class.member` of the page that the code has not."""
    return [f"{cls}.{member}" for cls, member in MEMBER.findall(page) if not code.has(cls, member)]


def misplaced_names(page: str, code: _Code) -> list[str]:
    """Names of the page's tables that the file beside them does not define, as `file: name`."""
    wrong = []
    for file, cell in (row.groups() for line in page.splitlines() if (row := ROW.match(line))):
        classes = [cls for cls, _ in MEMBER.findall(cell)]
        names = classes or NAME.findall(cell)
        wrong += [f"{file}: {name}" for name in names if name not in code.top.get(file, ())]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_members_that_pages_name_exist(page: Path) -> None:
    assert unknown_members(page.read_text(), CODE) == []


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != THREADS_PAGE], ids=lambda page: page.name)
def test_names_in_tables_are_defined_in_the_file_beside_them(page: Path) -> None:
    assert misplaced_names(page.read_text(), CODE) == []


def test_members_are_looked_for_in_bases_and_in_what_methods_assign() -> None:
    code = _Code(
        {"koordnri/a.py": "class A:\n def __init__(self): self.x = 1\nclass B(A[int]):\n y: int = 0\n def z(self): ..."}
    )
    assert unknown_members("`B.x`, `B.y` and `B.z`, but `B.none` and `C.x`; `path.name` is no class", code) == [
        "B.none",
        "C.x",
    ]


def test_rows_are_compared_with_their_file() -> None:
    code = _Code({"koordnri/a.py": "def f(): ...\nclass A:\n def go(self): ...", "koordnri/b.py": ""})
    page = "| 1 | `koordnri/a.py` | `f`, `A.go` | x |\n| 2 | `koordnri/b.py` | `f` | `g` is not looked at |"
    assert misplaced_names(page, code) == ["koordnri/b.py: f"]
