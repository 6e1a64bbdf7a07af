"""Allows one koordnri per NRI socket, also when two have different state directories, as a DaemonSet and a service of the node may.

The lock is on the directory of the socket, since a socket cannot be locked, and since every restart of the runtime makes it again. Pods
see the same directory through their mount.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class SocketLock:
    """An exclusive lock on a directory, held for the life of the process. The kernel releases it when the process dies."""

    def __init__(self, socket: Path) -> None:
        self.path = socket.parent
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock. False: another process has it. Also True, without the lock, while there is no directory to lock: ask again."""
        if self._fd is not None:
            return True
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:  # a file system without locks: the lock in the state directory has to do
            os.close(fd)
            return True
        self._fd = fd
        return True

    def release(self) -> None:
        """Release it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
