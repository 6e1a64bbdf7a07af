"""Tells at once that a file was written to its end or replaced, so that nobody has to look for it ten times a second.

A hint and no more: what inotify does not show (a link into another directory, a file system that another machine writes) is found by
who looks from time to time.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

from inotify_simple import INotify, flags  # type: ignore[import-untyped]

_MASK = flags.CLOSE_WRITE | flags.MOVED_TO
"""Not MODIFY nor CREATE: who opens a file to write it anew has emptied it by then."""
_SWAPPED = "..data"
"""Kubelet replaces this link of a mounted ConfigMap, and with it all its keys at once."""


class FileWatch:
    """Watches from its making until `close`. `changed` is called on a thread of its own, and must not block.

    path      a file, or a directory with the keys of a mounted ConfigMap; it need not exist yet

    Raises OSError when the kernel gives no inotify (more): it has a limit per user.
    """

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._inotify = INotify()
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)
        self._watched: int | None = None
        self.renew()
        self._thread = threading.Thread(target=self._run, name="file-watch", daemon=True)
        self._thread.start()

    @property
    def watching(self) -> bool:
        """Whether changes are told: not while the directory is missing."""
        return self._watched is not None

    def renew(self) -> None:
        """Watch again, if the directory was missing or replaced."""
        if self._watched is None:
            try:
                self._watched = self._inotify.add_watch(self._path if self._path.is_dir() else self._path.parent, _MASK)
            except OSError:
                self._watched = None

    def close(self) -> None:
        """End the thread."""
        os.eventfd_write(self._closed, 1)
        self._thread.join()
        self._inotify.close()
        os.close(self._closed)

    def _run(self) -> None:
        both = select.poll()
        for fd in (self._inotify.fileno(), self._closed):
            both.register(fd, select.POLLIN)
        while all(fd != self._closed for fd, _ in both.poll()):
            for event in self._inotify.read(timeout=0):
                if event.mask & flags.IGNORED:
                    self._watched = None
                # A directory of keys is not watched for one name.
                if event.mask & flags.IGNORED or event.name in (self._path.name, _SWAPPED) or self._path.is_dir():
                    self._changed()
