"""Says which files of cgroups somebody has written, within a millisecond, and which cgroups have been removed.

The kernel reports each write into a cgroup directory by inotify, on v1 and v2: by whom is not known, so our own writes are among
them. It reports its own notices likewise (memory.events, cgroup.events, pids.events): only the names given at the start count, the
rest is dropped here, on purpose and before it wakes anybody. Pressure (*.pressure) is never reported this way.

A cgroup's own end is reported to who watches the directory above it (IN_DELETE). To who watches the cgroup itself, kernels so far
say nothing; later ones and plain directories do (IN_DELETE_SELF), and both are heard.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from inotify_simple import INotify, flags  # type: ignore[import-untyped]

_MASK = flags.MODIFY | flags.DELETE | flags.DELETE_SELF | flags.ONLYDIR
_ENDED = flags.DELETE_SELF | flags.IGNORED | flags.UNMOUNT
PAUSE_S = 0.005
"""After a wake-up, events are left to gather for so long: whoever writes many files makes few wake-ups."""
RESTS = 9
"""… and at least so many times as long as it took to read them: who writes without end costs a tenth of a core here."""


class Taken(NamedTuple):
    """What happened since the last `take`."""

    written: set[tuple[str, str]]
    """(directory, name of the file)"""
    removed: set[str]
    """directories that are no more: watched ones, and those directly below one"""
    overflowed: bool
    """the kernel dropped events: anything may have happened"""


class CgroupWatch:
    """Watches from its making until `close`. `add`, `remove` and `take` are for one thread.

    names   of the files that count, without their directory
    woken   called on a thread of its own, named `drift`, when there is something to take; must not block

    Raises OSError when the kernel gives no inotify (more): EMFILE, as there is a limit per user.
    """

    def __init__(self, names: Collection[str], woken: Callable[[], None]) -> None:
        self._names = frozenset(names)
        self._woken = woken
        self._inotify = INotify()
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)
        self._by_path: dict[str, int] = {}
        self._paths: dict[int, str] = {}
        self._lock = threading.Lock()
        self._pending: set[tuple[int, str, bool]] = set()
        """(watch, name, whether it was removed); a set, so that who writes one file without end does not make it grow"""
        self._overflowed = False
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Directories that are watched."""
        return len(self._by_path)

    def add(self, directory: str) -> bool:
        """Watch a directory; False when there is none. Watched already, it is looked whether it is still the same one.

        Raises OSError when the kernel watches no more: ENOSPC, see /proc/sys/fs/inotify/max_user_watches.
        """
        try:
            watch = self._inotify.add_watch(directory, _MASK)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            self.remove(directory)
            return False
        before = self._by_path.get(directory)
        if before != watch:
            if before is not None:
                self.remove(directory)
            self._by_path[directory], self._paths[watch] = watch, directory
        return True

    def remove(self, directory: str) -> None:
        """Watch it no longer. Of a cgroup that was removed, too: until then the kernel keeps what is left of it."""
        watch = self._by_path.pop(directory, None)
        if watch is not None:
            self._paths.pop(watch, None)
            with contextlib.suppress(OSError):  # the kernel has ended it by itself
                self._inotify.rm_watch(watch)

    def take(self) -> Taken:
        """What happened since the last time, up to this moment: also what nobody was woken for yet. Never waits."""
        self._read()
        with self._lock:
            pending, self._pending = self._pending, set()
            overflowed, self._overflowed = self._overflowed, False
        written: set[tuple[str, str]] = set()
        removed: set[str] = set()
        for watch, name, gone in pending:
            directory = self._paths.get(watch)
            if directory is None:
                continue  # of a watch that was removed meanwhile
            if not gone:
                written.add((directory, name))
            else:
                removed.add(f"{directory}/{name}" if name else directory)
        for directory in removed:
            self.remove(directory)
        return Taken(written, removed, overflowed)

    def close(self) -> None:
        """End the thread."""
        os.eventfd_write(self._closed, 1)
        self._thread.join()
        self._inotify.close()
        os.close(self._closed)

    def _run(self) -> None:
        both, closed = select.poll(), select.poll()
        for fd in (self._inotify.fileno(), self._closed):
            both.register(fd, select.POLLIN)
        closed.register(self._closed, select.POLLIN)
        while all(fd != self._closed for fd, _ in both.poll()):
            began = time.perf_counter()
            if self._read():
                self._woken()
            if closed.poll(max(PAUSE_S, RESTS * (time.perf_counter() - began)) * 1e3):
                return

    def _read(self) -> bool:
        """Keep what counts of the events that are there; whether there was any."""
        with self._lock:  # for two threads read, and one of them would wait where the other has taken all
            events = self._inotify.read(timeout=0)
            found, overflowed = self._reduced(events)
            self._pending |= found
            self._overflowed |= overflowed
        return bool(found) or overflowed

    def _reduced(self, events: Iterable[tuple[int, int, int, str]]) -> tuple[set[tuple[int, str, bool]], bool]:
        found: set[tuple[int, str, bool]] = set()
        overflowed = False
        for watch, mask, _, name in events:
            if mask & flags.MODIFY:
                if name in self._names:
                    found.add((watch, name, False))
            elif mask & flags.Q_OVERFLOW:
                overflowed = True
            elif mask & flags.DELETE:
                if mask & flags.ISDIR:
                    found.add((watch, name, True))
            elif mask & _ENDED:
                found.add((watch, "", True))
        return found, overflowed
