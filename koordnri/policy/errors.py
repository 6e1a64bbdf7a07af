"""Mistakes in a document somebody wrote: a policy file, an annotation.

They are the writer's fault, never ours, and are collected: who fixes a policy wants to see all of them at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

_SHOWN_CHARACTERS = 60
_LONGEST_KEY = 320
"""Of a label: a DNS name of 253 characters, a slash, 63 more."""

MOST_FINDINGS = 100
"""More than anybody reads; a megabyte of nonsense must not become a log of many."""


class Mistake(NamedTuple):
    """One wrong place of a document.

    path: keys from the top of the document, as `resource-qos-config.beClass.memoryQOS.minLimitPercent`; empty for the
          document as a whole.
    message: what was expected there and what was found.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DocumentError(ValueError):
    """A document (for instance the JSON text of an annotation) that cannot be taken as it is."""

    separator = "; "

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: tuple[Mistake, ...] = bounded(mistakes, "mistakes")
        super().__init__(self.separator.join(map(str, self.mistakes)))


class PolicyError(DocumentError):
    """A policy that is refused whole; the last good one stays. `str()` gives one mistake per line."""

    separator = "\n"


def as_policy_error(error: Exception) -> PolicyError:
    """Why a document is refused; of what nobody foresaw, that it is our bug: even so it costs this document and no more."""
    if isinstance(error, PolicyError):
        return error
    return PolicyError([Mistake("", f"bug in koordnri, {type(error).__name__}: {shown(str(error))}; please report it")])


def shown_key(key: str) -> str:
    """The key as a step of a path: as it is, unless it would spoil the line."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else shown(key)


def bounded(findings: Iterable[Mistake], what: str) -> tuple[Mistake, ...]:
    """The first findings, and a line that says how many more there are."""
    findings = list(findings)
    if len(findings) <= MOST_FINDINGS:
        return tuple(findings)
    return (*findings[:MOST_FINDINGS], Mistake("", f"and {len(findings) - MOST_FINDINGS} more {what}"))


def shown(value: Any) -> str:
    """The value as its writer would recognise it, on one line and short enough for a log."""
    if isinstance(value, float):
        text = repr(value)  # json would print NaN and Infinity, which YAML's authors wrote as .nan and .inf
    else:
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, TypeError, RecursionError):
            text = f"a {type(value).__name__}"
    text = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    if text.isprintable():
        return text
    # Lone surrogates, which JSON escapes may make, cannot be printed; control characters would command a terminal.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
