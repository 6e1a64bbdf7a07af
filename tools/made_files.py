"""Files that a tool makes from another file: written, or only compared with what they hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def keep(files: Mapping[Path, str], source: str, tool: str) -> int:
    """Write each file whose text differs; with `--check` on the command line print its path instead.

    files    path → the text that it must have
    source   the file that the texts are made from
    tool     the command that writes them

    Returns the exit code: 1 when a file was found to differ.
    """
    differs = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if "--check" not in sys.argv[1:]:
        for path in differs:
            path.write_text(files[path])
        return 0
    for path in differs:
        print(f"{path}: differs from {source}; run {tool}")
    return int(bool(differs))
