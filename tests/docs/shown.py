"""What a page shows: its blocks, the files that it asks the reader to write, and the commands to type.

A YAML block with a title (```yaml title="pod.yaml") is a file of that name. A ```text block right after a ```sh block is what the last
command of that block prints on the screen. A comment `exit code N` behind a command is what it ends with, otherwise 0.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r'^(?P<indent> *)```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^(?P=indent)```$',
    re.DOTALL | re.MULTILINE,
)
COMMENT = re.compile(r"(?:^|\s)#.*$")
KUBECTL = re.compile(r"kubectl (?:-n \S+ )?exec (?:-\w+ )*\S+ (?:-c \S+ )?-- (?=koordnri )")
PLUGIN = re.compile(r"kubectl koordnri (?:--node \S+ |--all-nodes )?")


class Block(NamedTuple):
    """A fenced block."""

    kind: str
    title: str
    body: str
    line: int
    after: str
    """the text between it and the block before"""


class Command(NamedTuple):
    """A line to type."""

    text: str
    code: int
    prints: str | None
    """None: the page does not say"""
    line: int

    @property
    def koordnris(self) -> list[str]:
        """The words after `koordnri`, wherever it is run; [] for another program."""
        text = PLUGIN.sub("koordnri ", KUBECTL.sub("", self.text))
        return shlex.split(text)[1:] if text.startswith("koordnri ") else []

    @property
    def here(self) -> bool:
        """Whether it is typed at a desk, not on a node or into a cluster."""
        return self.text.startswith("koordnri ")


def blocks(page: str) -> list[Block]:
    """All blocks of a page's text."""
    found, end = [], 0
    for match in BLOCK.finditer(page):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        line = page.count("\n", 0, match.start()) + 1
        found.append(Block(match["kind"], match["title"] or "", body, line, page[end : match.start()]))
        end = match.end()
    return found


def files(page: str) -> dict[str, str]:
    """Name → text of what the page asks to write."""
    return {block.title: block.body for block in blocks(page) if block.title}


def commands(page: str) -> Iterator[Command]:
    """Every command of every ```sh block; lines that end in a backslash go on."""
    found = blocks(page)
    for number, block in enumerate(found):
        if block.kind != "sh":
            continue
        then = found[number + 1] if number + 1 < len(found) else None
        printed = then.body if then and then.kind == "text" and not then.after.strip() else None
        lines = [line for line in block.body.replace("\\\n", "").splitlines() if line.strip()]
        to_screen = [index for index, line in enumerate(lines) if " > " not in line]
        for index, line in enumerate(lines):
            code = re.search(r"exit code (\d)", line)
            text = " ".join(COMMENT.sub("", line).split())
            if text:
                last = to_screen[-1:] == [index]
                yield Command(text, int(code[1]) if code else 0, printed if last else None, block.line)


def pages(root: Path) -> list[Path]:
    """The pages for users."""
    return [root / "README.md", *sorted((root / "docs/use").glob("*.md"))]
