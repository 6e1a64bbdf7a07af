"""The files by which terway, a network plugin, is given bandwidths: /var/lib/terway/qos."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = "var/lib/terway/qos"
_NEW = ".koordnri-new"


class TerwayFiles:
    """Files by name. `root`: directory under which the host's files are."""

    def __init__(self, root: Path) -> None:
        self._directory = root / DIRECTORY

    def read(self, name: str) -> str | None:
        """The text; None without the file. Raises OSError."""
        try:
            return (self._directory / name).read_text(errors="replace")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Write the whole file; who reads it sees the old text or the new one. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        new = self._directory / f"{name}{_NEW}"
        new.write_text(text)
        os.replace(new, self._directory / name)

    def remove(self, name: str) -> None:
        """A missing file is fine. Raises OSError."""
        (self._directory / name).unlink(missing_ok=True)
