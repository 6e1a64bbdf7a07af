"""A directory tree of files as fuzz targets describe it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MOST_FILES = 200
_MOST_BYTES = 40_000
"""of one file"""


@contextlib.contextmanager
def tree(data: bytes) -> Iterator[Path]:
    """The root of a tree. Files are separated by NUL; each is a line with its path below the root, then its content."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory()) as directory:
        root = Path(directory)
        for described in data.split(b"\0")[:_MOST_FILES]:
            path, _, content = described.partition(b"\n")
            steps = [step for step in path.decode(errors="surrogateescape").split("/") if step not in ("", ".", "..")]
            if not steps or len(steps) > 12 or any(len(step.encode(errors="surrogateescape")) > 200 for step in steps):
                continue
            file = root.joinpath(*steps)
            with contextlib.suppress(OSError):  # a file stands where another one needs a directory
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content[:_MOST_BYTES])
        yield root


def _memory() -> str | None:
    """Where files cost no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
