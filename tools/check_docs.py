"""Whether what the documents and the code's comments point to is there.

tools/check_docs.py      print each mistake as path:line: text; end with 1 where there is one

In docs/ and in the root's pages: every link and its anchor, every path of the repository in code (`koordnri/chain/chain.py`), every module
(`koordnri.hook`), every target of `make`, and lists that mkdocs would not take for lists. Every page is in mkdocs.yml.
In comments and docstrings: every document (`nri.md`, if only one below docs/ has that name; else its path) and the numbered sections
named after it (`nri.md 2.6 and 5.4`).
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CODE = ("koordnri", "hooks", "tests", "tools", "examples")
ROOT_PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
NO_MODULES = {"koordnri.hooks", "koordnri.sh", "koordnri.sock"}
"""the entry-point group, the annotations' domain, the control socket"""

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*(```|~~~)")
SPAN = re.compile(r"(`+)(.+?)\1")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
ITEM = re.compile(r"^( *)(?:[-*+]|\d+\.) ")
PATH = re.compile(r"(?:koordnri|hooks|tests|tools|docs|examples|deploy|helm)/[\w./*-]*")
MODULE = re.compile(r"koordnri(?:_hooks)?(?:\.\w+)+")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)\b")
NUMBER = r"[A-Z]?\d+(?:\.\d+)*"
CITED = re.compile(rf"(?P<path>[\w./-]*\w\.md)(?P<anchor>#[\w-]+)?(?P<sections>(?:,?\s+(?:and\s+)?{NUMBER}\b)*)")


class Mistake(NamedTuple):
    """Something that points to nothing."""

    path: Path
    line: int
    text: str


class Line(NamedTuple):
    """A line of a page: prose without its code, and the code in it."""

    number: int
    prose: str
    code: tuple[str, ...]
    """the code spans, or the one line of a block"""
    in_block: bool


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a page, fences left out."""
    in_block = False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            in_block = not in_block
        elif in_block:
            yield Line(number, "", (line,), True)
        else:
            yield Line(number, SPAN.sub("", line), tuple(code for _, code in SPAN.findall(line)), False)


def headings(text: str) -> list[str]:
    """The headings of a page as they are written, without their marks."""
    in_block, found = False, []
    for line in text.splitlines():
        if FENCE.match(line):
            in_block = not in_block
        elif not in_block and (heading := HEADING.match(line)):
            found.append(heading[2])
    return found


def anchor(heading: str) -> str:
    """The anchor of a heading, the same on forges and in the book."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-")


@cache
def _headings_in(page: Path) -> list[str]:
    return headings(page.read_text())


def check_page(root: Path, page: Path) -> Iterator[Mistake]:
    """What a page points to and is not there."""
    before = ""
    text = page.read_text()
    for line in lines_of(text):
        for target in LINK.findall(line.prose):
            if problem := _link(page, target):
                yield Mistake(page, line.number, problem)
        for code in line.code:
            for problem in _code(root, code):
                yield Mistake(page, line.number, problem)
        if not line.in_block and (problem := _list(before, line.prose)):
            yield Mistake(page, line.number, problem)
        before = line.prose


def _link(page: Path, target: str) -> str:
    if "://" in target or target.startswith("mailto:"):
        return ""
    path, _, name = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return f"link to {target}: there is no such file"
    if name and name not in {anchor(heading) for heading in _headings_in(there)}:
        return f"link to {target}: {there.name} has no heading with this anchor"
    return ""


def _code(root: Path, code: str) -> Iterator[str]:
    for word in re.split(r"[\s\"'(),;=]+", code):
        word = word.partition("::")[0].rstrip(".:")
        if PATH.fullmatch(word) and not any(root.glob(word.rstrip("/"))):
            yield f"`{word}`: there is no such path"
        elif MODULE.fullmatch(word) and not _module(root, word):
            yield f"`{word}`: there is no such module, nor such a name in it"
    for target in MAKE.findall(code):
        if not re.search(rf"^{target}:", (root / "Makefile").read_text(), re.MULTILINE):
            yield f"`make {target}`: the Makefile has no such target"


def _module(root: Path, name: str) -> bool:
    package, *parts = name.split(".")
    if f"{package}.{parts[0]}" in NO_MODULES:
        return True
    place = root / package if package == "koordnri" else root / "hooks" / package
    for part in parts:
        if (place / part).is_dir():
            place = place / part
        elif (place / f"{part}.py").exists():
            place = place / f"{part}.py"
        else:
            source = place if place.suffix else place / "__init__.py"
            return source.exists() and re.search(rf"\b{part}\b", source.read_text()) is not None
    return True


def _list(before: str, line: str) -> str:
    item = ITEM.match(line)
    if item is None:
        return ""
    if len(item[1]) % 4:
        return "indent items of an inner list by 4 spaces, or mkdocs takes them for the outer list's"
    if before.strip() and not ITEM.match(before) and not before.startswith(" ") and not item[1]:
        return "put an empty line above the list, or mkdocs takes it for part of the paragraph"
    return ""


def comments(source: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of every docstring, and of every run of comments without their marks."""
    run: list[str] = []
    first, fresh = 0, True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            if run and line != first + len(run):
                yield first, "\n".join(run)
                run = []
            first = first if run else line
            run.append(token.string.lstrip("#! "))
        elif token.type == tokenize.STRING and fresh:
            yield line, token.string
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            fresh = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    if run:
        yield first, "\n".join(run)


def check_code(root: Path, file: Path) -> Iterator[Mistake]:
    """Documents and sections that a file's comments cite and that are not there."""
    for first, text in comments(file.read_text()):
        for cited in CITED.finditer(text):
            if problem := _citation(root, cited["path"], cited["anchor"] or "", cited["sections"]):
                yield Mistake(file, first + text.count("\n", 0, cited.start()), problem)


def _citation(root: Path, path: str, name: str, sections: str) -> str:
    direct = "/" in path or path in ROOT_PAGES
    there = [page for page in [root / path] if page.exists()] if direct else sorted((root / "docs").rglob(path))
    if len(there) != 1:
        found = f"{len(there)} of that name below docs/, give its path" if there else "there is no such document"
        return f"cites {path}: {found}"
    titles = _headings_in(there[0])
    if name and name[1:] not in {anchor(title) for title in titles}:
        return f"cites {path}{name}: it has no heading with this anchor"
    for section in re.findall(NUMBER, sections):
        if not any(re.match(rf"{re.escape(section)}\.? ", title) for title in titles):
            return f"cites {path} {section}: it has no section of that number"
    return ""


def pages(root: Path) -> list[Path]:
    """Every page that is checked."""
    return [root / name for name in ROOT_PAGES if (root / name).exists()] + sorted((root / "docs").rglob("*.md"))


def check_nav(root: Path) -> Iterator[Mistake]:
    """Pages of docs/ that mkdocs.yml does not list: nobody would find them, and the strict build fails."""
    nav = (root / "mkdocs.yml").read_text()
    for page in sorted((root / "docs").rglob("*.md")):
        path = page.relative_to(root / "docs").as_posix()
        if not re.search(rf"[ :]{re.escape(path)}$", nav, re.MULTILINE):
            yield Mistake(root / "mkdocs.yml", 1, f"nav lacks {path}")


def check(root: Path = ROOT) -> list[Mistake]:
    """Every mistake in the repository at `root`."""
    files = [file for folder in CODE for file in sorted((root / folder).rglob("*.py"))]
    return [
        *check_nav(root),
        *(mistake for page in pages(root) for mistake in check_page(root, page)),
        *(mistake for file in files if not file.name.endswith("_pb2.py") for mistake in check_code(root, file)),
    ]


def main() -> int:
    """Return the exit code."""
    mistakes = check()
    for path, line, text in mistakes:
        print(f"{path.relative_to(ROOT)}:{line}: {text}")
    return bool(mistakes)


if __name__ == "__main__":
    sys.exit(main())
