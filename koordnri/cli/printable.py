"""Texts of pods on a terminal or in a picture."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with its control characters as escapes: none may move the cursor, and XML knows none."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
