"""One koordnri per node: two live registrations of one plugin make every CreateContainer on the node fail (koordinator 2334)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class NodeLock:
    """An exclusive lock on a file in the state directory, held for the life of the process.

    The kernel drops it when the process dies, however it dies.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "koordnri.lock"
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Raises OSError when the file cannot be opened."""
        if self._fd is not None:
            return True
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return True

    def release(self) -> None:
        """Give it back; the file stays, for unlinking it would let two processes lock two files of one name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
