"""Mistakes in a document that somebody wrote: a policy file, an annotation.

They are the writer's fault, never ours. All are collected, because whoever fixes a policy wants to see them at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

_SHOWN_CHARACTERS = 60
_LONGEST_KEY = 320
"""Length of the longest label key: a DNS name of 253 characters, a slash, 63 more."""

MOST_FINDINGS = 100
"""Most findings reported: a megabyte of nonsense must not make megabytes of log."""


class Mistake(NamedTuple):
    """One mistake in a document.

    path: keys from the top of the document, as `resource-qos-config.beClass.memoryQOS.minLimitPercent`; empty for the
          document as a whole.
    message: what was expected there and what was found.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DocumentError(ValueError):
    """A document (for example the JSON text of an annotation) that cannot be used."""

    separator = "; "

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: tuple[Mistake, ...] = bounded(mistakes, "mistakes")
        super().__init__(self.separator.join(map(str, self.mistakes)))


class PolicyError(DocumentError):
    """A policy that is refused whole; the last good one stays in force. `str()` gives one mistake per line."""

    separator = "\n"


def as_policy_error(error: Exception) -> PolicyError:
    """Why a document is refused. An unforeseen error becomes a mistake that says it is our bug: it costs only this document."""
    if isinstance(error, PolicyError):
        return error
    return PolicyError([Mistake("", f"bug in koordnri, {type(error).__name__}: {shown(str(error))}; please report it")])


def shown_key(key: str) -> str:
    """The key as a step of a path; quoted if it would break the line."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else shown(key)


def bounded(findings: Iterable[Mistake], what: str) -> tuple[Mistake, ...]:
    """The first findings, then a line with the number of the others."""
    findings = list(findings)
    if len(findings) <= MOST_FINDINGS:
        return tuple(findings)
    return (*findings[:MOST_FINDINGS], Mistake("", f"and {len(findings) - MOST_FINDINGS} more {what}"))


def shown(value: Any) -> str:
    """The value as its writer wrote it, on one line and short enough for a log."""
    if isinstance(value, float):
        text = repr(value)  # json would print NaN and Infinity for .nan and .inf of YAML
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, TypeError, RecursionError):
            text = f"a {type(value).__name__}"
    text = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    if text.isprintable():
        return text
    # Lone surrogates (from JSON escapes) cannot be printed, and control characters would steer a terminal.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
