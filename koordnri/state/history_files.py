"""The decision history on disk: JSON lines in `history.jsonl`; when that is full, it becomes `history.jsonl.1`, in place of the former one.

It is no state: nothing is decided by it, and no `fsync` waits for it. If the directory cannot be written (full, read-only, absent), the
history goes on in memory, and that is reported once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from koordnri.model.log import Log
from koordnri.state.files import open_plain

NAME = "history.jsonl"
OLDER = f"{NAME}.1"
MOST_BYTES = 4 << 20
"""bytes of one file; there are two"""


class HistoryFiles:
    """`append` and `tail` are for one thread at a time; any thread may call `lines`."""

    def __init__(self, directory: Path, log: Log, most_bytes: int = MOST_BYTES) -> None:
        self.problem = ""
        """why changes are not on disk; "" while they are"""
        self._path = directory / NAME
        self._older = directory / OLDER
        self._log = log
        self._most_bytes = most_bytes

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines, given without their line ends. Never raises: a failure is reported once, until a write succeeds again."""
        try:
            self._write(b"".join(line + b"\n" for line in lines))
            self.problem = ""
        except OSError as error:
            self._failed(error)

    def tail(self, most_bytes: int) -> list[bytes]:
        """The newest whole lines, about `most_bytes` of them, oldest first."""
        text = b""
        for path in (self._path, self._older):
            if (wanted := most_bytes - len(text)) <= 0:
                break
            text = _end_of(path, wanted) + text
        return [line for line in text.split(b"\n") if line]

    def lines(self) -> Iterator[bytes]:
        """All lines, oldest first, without their line ends. A line may have been cut off by a crash or a full disk."""
        with contextlib.ExitStack() as stack:
            files = []
            # The newer one is opened first: if it becomes the older one meanwhile, it is found twice instead of not at all.
            for path in (self._path, self._older):
                with contextlib.suppress(OSError):
                    files.append(stack.enter_context(open(open_plain(path, os.O_RDONLY), "rb")))
            if len(files) == 2 and os.path.sameopenfile(files[0].fileno(), files[1].fileno()):
                files.pop()
            for file in reversed(files):
                for line in file:
                    yield line.rstrip(b"\n")

    def _write(self, data: bytes) -> None:
        fd = self._open()
        try:
            size = os.fstat(fd).st_size
            if size and size + len(data) > self._most_bytes:
                self._path.replace(self._older)
                os.close(fd)
                fd = -1
                fd, size = self._open(), 0
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = b"\n" + data  # the last line was cut off
            while data:
                data = data[os.write(fd, data) :]
        finally:
            if fd >= 0:
                os.close(fd)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        try:
            return open_plain(self._path, flags)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return open_plain(self._path, flags)

    def _failed(self, error: OSError) -> None:
        text = f"{self._path}: {error.strerror or error}"
        if text != self.problem:
            self._log.warning("history_not_saved", error=text, consequence="the history goes on in memory")
        self.problem = text


def _end_of(path: Path, most_bytes: int) -> bytes:
    """The last bytes of a file, from the beginning of a line; empty when it cannot be read."""
    try:
        with open(open_plain(path, os.O_RDONLY), "rb") as file:
            # With the byte before: if that is a line end, the first line is whole.
            start = max(0, os.fstat(file.fileno()).st_size - most_bytes - 1)
            file.seek(start)
            text = file.read(most_bytes + 1)
    except OSError:
        return b""
    if start:
        text = text.partition(b"\n")[2]
    return text if text.endswith(b"\n") or not text else text + b"\n"
