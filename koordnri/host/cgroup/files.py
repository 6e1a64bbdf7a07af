"""The edge to the kernel's cgroup files: read whole, write in one piece, and nothing else."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

_READ_BYTES = 16_384
"""One read takes any file but an io.max of hundreds of disks."""


class CgroupFiles:
    """Files of cgroupfs by full path. Every method raises OSError as the kernel gives it; a test puts a refusing kernel in its place."""

    def read(self, path: str) -> str:
        """The whole text, with its last newline."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, _READ_BYTES)
            if len(data) == _READ_BYTES:
                while more := os.read(fd, _READ_BYTES):
                    data += more
        finally:
            os.close(fd)
        return data.decode(errors="replace")

    def write(self, path: str, text: str) -> None:
        """Write in one call, for the kernel takes each call as a whole value. Never creates a file."""
        data = text.encode()
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.write(fd, data)
            if written != len(data):
                raise OSError(errno.EIO, f"took {written} of {len(data)} bytes")
            # cgroupfs says 0 for every file. In a tree of plain files the end of a longer old value would stay behind.
            if os.fstat(fd).st_size > written:
                os.ftruncate(fd, written)
        finally:
            os.close(fd)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return os.path.exists(path)


class PacedFiles(CgroupFiles):
    """The same, for a thread beside others that must not wait for it.

    Each of these calls lets go of the interpreter, and takes it again before a thread that this wakes is there; and who is woken in
    vain begins its wait anew, so that no switch interval helps it. Threads waited up to 4 ms, for as long as many files were gone
    through in a row. So now and then there is a pause that is long enough for them.

    beside   whether there is anybody to pause for: a pause costs about as much as ten files
    """

    EVERY_S = 0.0001
    PAUSE_S = 0.00001
    """By the time that the kernel takes to wake us up, it is some 0.08 ms."""

    def __init__(self, beside: Callable[[], bool]) -> None:
        self._beside = beside
        self._pause_at_s = 0.0

    def read(self, path: str) -> str:
        if time.perf_counter() >= self._pause_at_s:
            if self._beside():
                time.sleep(self.PAUSE_S)
            self._pause_at_s = time.perf_counter() + self.EVERY_S
        return super().read(path)
