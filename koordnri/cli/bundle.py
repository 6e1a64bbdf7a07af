"""A report's file: a compressed tar of bounded size, which only its owner can read."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

MOST_PART_BYTES = 2 << 20
MOST_BYTES = 32 << 20
"""of all parts together, before compression"""
MANIFEST = "report.json"


class Bundle:
    """Parts by name, in memory. What was cut or is missing is in the manifest, with the reason."""

    def __init__(self, directory: str, manifest: dict[str, Any]) -> None:
        """`directory`: the top directory inside the file."""
        self.missing: dict[str, str] = {}
        self._directory = directory
        self._manifest = manifest
        self._parts: dict[str, bytes] = {}
        self._cut: dict[str, int] = {}
        self._room = MOST_BYTES

    def add(self, name: str, text: str) -> None:
        """Add a part. Of a long one the end is kept: in a log that is the newest."""
        content = text.encode(errors="replace")
        if len(content) > MOST_PART_BYTES:
            self._cut[name] = len(content)
            content = content[-MOST_PART_BYTES:]
        if len(content) > self._room:
            self.missing[name] = f"the report has {MOST_BYTES >> 20} MiB already"
            return
        self._room -= len(content)
        self._parts[name] = content

    def add_json(self, name: str, value: Any) -> None:
        """Add a value as JSON."""
        self.add(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write(self, file: IO[bytes]) -> None:
        """Write all. Raises OSError."""
        manifest = {
            **self._manifest,
            "parts": {name: len(content) for name, content in self._parts.items()},
            "missing": self.missing,
            "cut": {name: f"the last {MOST_PART_BYTES} of {size} bytes" for name, size in self._cut.items()},
        }
        last = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode(errors="replace")
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, content in sorted({**self._parts, MANIFEST: last}.items()):
                info = tarfile.TarInfo(f"{self._directory}/{name}")
                info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
                tar.addfile(info, io.BytesIO(content))


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file with mode 0600, which is removed again if something fails. Raises OSError, FileExistsError if it is there."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
