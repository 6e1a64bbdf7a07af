"""Allows one koordnri per node: with two live registrations of one plugin, every CreateContainer on the node fails (koordinator 2334)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class NodeLock:
    """An exclusive lock on a file in the state directory, held for the life of the process.

    The kernel releases it when the process dies, however that happens. If the file cannot be made (full or read-only file system), the
    directory itself is locked.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "koordnri.lock"
        self.problem = ""
        """why nothing could be locked; "" after success, or before an attempt"""
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Also True if nothing can be locked at all: `problem` says why, and containers still need QoS."""
        if self._fd is not None:
            return True
        fd = self._open()
        if fd is None:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            if self.problem:
                self.problem = f"{self.path}: another koordnri holds it"
            return False
        except OSError as error:  # a file system without locks
            os.close(fd)
            self.problem = f"{self.path}: cannot be locked: {error.strerror}"
            return True
        with contextlib.suppress(OSError):  # informative only; file or directory may be read-only, or the disk full
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
        self._fd, self.problem = fd, ""
        return True

    def _open(self) -> int | None:
        ways = (
            (self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK),
            (self.path, os.O_RDONLY | os.O_NONBLOCK),
            (self.path.parent, os.O_RDONLY | os.O_DIRECTORY),
        )
        problems = []
        for path, flags in ways:
            try:
                return os.open(path, flags | os.O_CLOEXEC, 0o600)
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
        self.problem = problems[0]
        return None

    def release(self) -> None:
        """Release it. The file stays: unlinking it would let two processes lock two files of one name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
