"""Reports at once that a file was written completely or replaced, so that nobody has to poll it ten times a second.

It is only a hint: changes that inotify does not see (a link into another directory, a file system written by another machine) must be
found by polling now and then.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

from inotify_simple import INotify, flags  # type: ignore[import-untyped]

_MASK = flags.CLOSE_WRITE | flags.MOVED_TO
"""Not MODIFY or CREATE: at that point a writer may have emptied the file and not filled it yet."""
_SWAPPED = "..data"
"""kubelet replaces this link of a mounted ConfigMap, and with it all keys at once."""


class FileWatch:
    """Watches until `close`.

    path      a file, or a directory with the keys of a mounted ConfigMap; it need not exist yet
    changed   called in a separate thread, named `file-watch`; must not block
    on_bug    called in that thread with the exception that ended it. Nothing is watched from then on

    Raises OSError when the kernel gives no inotify instance: there is a limit per user.
    """

    def __init__(self, path: Path, changed: Callable[[], None], on_bug: Callable[[Exception], None]) -> None:
        self._path = path
        self._changed = changed
        self._on_bug = on_bug
        self._inotify = INotify()
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)
        self._watched: int | None = None
        self.renew()
        self._thread = threading.Thread(target=self._run, name="file-watch", daemon=True)
        self._thread.start()

    @property
    def watching(self) -> bool:
        """Whether changes are reported: not while the directory is missing."""
        return self._watched is not None and self._thread.is_alive()

    def renew(self) -> None:
        """Watch again if the directory was missing or replaced."""
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
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001  # not swallowed, but handed on
            self._on_bug(error)

    def _serve(self) -> None:
        both = select.poll()
        for fd in (self._inotify.fileno(), self._closed):
            both.register(fd, select.POLLIN)
        while all(fd != self._closed for fd, _ in both.poll()):
            for event in self._inotify.read(timeout=0):
                if event.mask & flags.IGNORED:
                    self._watched = None
                # In a directory of keys every name counts.
                if event.mask & flags.IGNORED or event.name in (self._path.name, _SWAPPED) or self._path.is_dir():
                    self._changed()
