"""Reads files of text that a user names: bounded, and with errors as a DocumentError."""

from __future__ import annotations

import sys
from pathlib import Path

from koordnri.policy.errors import DocumentError, Mistake
from koordnri.policy.text import TextError, decoded

STDIN = "-"


def read_text(path: str | Path, most_bytes: int, *, stdin: bool = False) -> str:
    """The text of a file in UTF-8.

    most_bytes   of a longer file no more is read
    stdin        whether "-" is standard input

    Raises DocumentError for a file that cannot be read, that is longer, or that is not UTF-8.
    """
    try:
        if stdin and path == STDIN:
            content = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise DocumentError([Mistake("", f"expected at most {most_bytes >> 20} MiB")])
        return decoded(content)
    except OSError as error:
        raise DocumentError([Mistake("", f"cannot be read: {error.strerror}")]) from None
    except TextError as error:
        raise DocumentError([Mistake("", str(error))]) from None
