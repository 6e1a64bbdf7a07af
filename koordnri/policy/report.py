"""Findings of one reading of a document: mistakes and warnings, each with its path."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from koordnri.policy.errors import MOST_FINDINGS, Mistake, shown_key
from koordnri.policy.text import Mapping

_NEAR = 0.6

Read = Callable[[Any, Any, Any, "Report"], Any]
"""(value, base, path, report) -> typed value, or BAD after at least one mistake was reported.

A path is (path of the parent or (), key or index); it is formatted only when there is something to report.
"""

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""Returned for a value that counts as absent."""

BAD: Any = type("Bad", (), {"__repr__": lambda self: "BAD"})()
"""Returned for a value with mistakes, which are in the report."""


_COUNTED = Mistake("", "")
"""Stands for findings that are only counted: formatting each one in a megabyte of nonsense would take a second."""


class Enough(Exception):
    """A brief reading has found as many mistakes as anybody reads."""


class Report:
    """Mistakes and warnings of one reading, with `prefix` before every path and `suffix` after every message.

    last_wins   whether the last of several keys that differ only in letter case is used; otherwise they are a mistake
    brief       for the event path: no warnings, no search for similar names, and Enough is raised after MOST_FINDINGS mistakes
    """

    def __init__(self, prefix: str = "", suffix: str = "", last_wins: bool = False, brief: bool = False) -> None:
        self.prefix = prefix
        self.suffix = suffix
        self.last_wins = last_wins
        self.brief = brief
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def wrong(self, path: Any, message: str) -> Any:
        self.mistakes.append(self._finding(path, message, self.mistakes))
        if self.brief and len(self.mistakes) >= MOST_FINDINGS:
            raise Enough
        return BAD

    def warn(self, path: Any, message: str) -> None:
        if self.brief:
            return
        self.warnings.append(self._finding(path, message, self.warnings))

    def _finding(self, path: Any, message: str, before: list[Mistake]) -> Mistake:
        if len(before) >= MOST_FINDINGS:
            return _COUNTED
        return Mistake(self._words(path), message + self.suffix)

    @property
    def hints_wanted(self) -> bool:
        """Whether to search for similar names: that is slow, and after many findings nobody reads them."""
        return not self.brief and len(self.mistakes) + len(self.warnings) < MOST_FINDINGS

    def at(self, path: Any) -> Report:
        """A report into the same lists whose paths start at `path`."""
        report = Report(self._words(path), self.suffix, self.last_wins, self.brief)
        report.mistakes, report.warnings = self.mistakes, self.warnings
        return report

    def _words(self, path: Any) -> str:
        steps: list[str] = []
        while path:
            path, step = path
            steps.append(f"[{step}]" if isinstance(step, int) else f".{shown_key(step)}")
        return (self.prefix + "".join(reversed(steps))).removeprefix(".")


def report_repeated(value: dict[str, Any], path: Any, report: Report) -> None:
    """Report keys that the text gives more than once: whichever is used, one of two authors is wrong."""
    if isinstance(value, Mapping):
        for key in value.repeated:
            report.wrong((path, key), "given twice")


def nearest(key: str, names: Iterable[str]) -> str | None:
    """The known name that `key` was probably meant to be."""
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(key[:100].lower(), by_lower, n=1, cutoff=_NEAR)
    return by_lower[matches[0]] if matches else None
