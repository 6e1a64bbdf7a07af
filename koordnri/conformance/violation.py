"""What a check ends with when the plugin did not do what it should."""

from __future__ import annotations


class Violation(Exception):
    """The text says what was expected and what came instead."""


class NotHere(Exception):
    """The check does not apply to this version of NRI; the text says why."""
