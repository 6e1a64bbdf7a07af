"""Refuse the words that docs/design/vocabulary.md has retired.

Reads that page's two tables: retired words and exceptions. Searches what users and maintainers read (`SEARCHED`): code, comments,
docstrings, messages, pages, manifests, examples. CHANGELOG.md is left out, for it has the old names of what was renamed. Ends with 1,
and one line per finding, where a retired word is used or an exception is no longer needed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/design/vocabulary.md"
SEARCHED = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**/*.md",
    "koordnri/**/*.py",
    "hooks/**/*.py",
    "tests/**/*.py",
    "tools/**/*.py",
    "tools/**/*.sh",
    "examples/**/*.*",
    "deploy/**/*.yaml",
    "helm/**/*.*",
)
GENERATED = "_pb2.py"
QUOTES = (PAGE, "tests/docs/test_vocabulary.py")
"""Files that name the retired words."""

_BETWEEN = r"[\s_#*]+"
"""What may stand between the words of a phrase: also the end of a line, and the mark of the next line's comment."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
"""Where a word of CamelCase ends. Two small letters after a capital, so that CPUs is one word."""
_WORD = re.compile(r"[A-Za-z]+")


class Vocabulary(NamedTuple):
    """What the page says."""

    retired: dict[str, str]
    """word or phrase → what to say instead"""
    exceptions: dict[tuple[str, str], str]
    """(word, file) → reason"""


class Finding(NamedTuple):
    """One retired word in one place."""

    file: str
    line: int
    word: str


def read(page: str) -> Vocabulary:
    """The tables of the page. Raises ValueError for a table that is missing, and for a row without a replacement or a reason."""
    retired: dict[str, str] = {}
    for words, instead, _ in _rows(page, "## Retired words"):
        for word in words.split(","):
            retired[" ".join(word.split())] = instead
    exceptions = {(word, file): reason for word, file, reason in _rows(page, "## Exceptions")}
    for word, file in exceptions:
        if word not in retired:
            raise ValueError(f"{PAGE}: exception for {word!r} in {file}, which is not a retired word")
    return Vocabulary(retired, exceptions)


def findings(file: str, text: str, retired: dict[str, str]) -> Iterator[Finding]:
    """Every retired word in the text of one file, in the order of the lines."""
    spaced = _HUMP.sub("_", text)
    for match in _pattern(retired).finditer(spaced):
        word = " ".join(_WORD.findall(match.group())).lower()
        yield Finding(file, spaced.count("\n", 0, match.start()) + 1, _spelled(word, retired))


def check(root: Path) -> list[str]:
    """One message per finding and per exception that is not needed."""
    vocabulary = read((root / PAGE).read_text())
    needed: set[tuple[str, str]] = set()
    messages: list[str] = []
    for path in sorted({p for pattern in SEARCHED for p in root.glob(pattern)}):
        name = path.relative_to(root).as_posix()
        if name in QUOTES or name.endswith(GENERATED):
            continue
        for finding in findings(name, path.read_text(), vocabulary.retired):
            if (finding.word, name) in vocabulary.exceptions:
                needed.add((finding.word, name))
            else:
                instead = vocabulary.retired[finding.word]
                messages.append(f'{name}:{finding.line}: "{finding.word}" is retired, say instead: {instead} ({PAGE})')
    for word, name in vocabulary.exceptions.keys() - needed:
        messages.append(f'{PAGE}: the exception for "{word}" in {name} is not needed any more; remove it')
    return messages


def _rows(page: str, heading: str) -> Iterator[tuple[str, str, str]]:
    """The rows of the first table below a heading."""
    section = page.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    if len(lines) < 2:
        raise ValueError(f"{PAGE}: expected a table below {heading!r}")
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not all(cells):
            raise ValueError(f"{PAGE}: expected three cells with text in each, got {line!r}")
        yield cells[0], cells[1], cells[2]


def _pattern(retired: dict[str, str]) -> re.Pattern[str]:
    phrases = sorted(retired, key=len, reverse=True)
    return re.compile(
        r"(?<![A-Za-z])(?:" + "|".join(_BETWEEN.join(map(re.escape, p.split())) for p in phrases) + r")(?![A-Za-z])",
        re.IGNORECASE,
    )


def _spelled(found: str, retired: dict[str, str]) -> str:
    """The phrase as the page spells it."""
    return next(phrase for phrase in retired if phrase.lower() == found)


def main() -> int:
    """Print what is wrong."""
    messages = check(ROOT)
    print(*messages, sep="\n", end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
