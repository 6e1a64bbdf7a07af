"""Reports within a millisecond which cgroup files somebody has written, and which cgroups were removed.

inotify reports each write into a cgroup directory, on v1 and v2, but not the writer; so our own writes are among them. It also reports
the kernel's own notifications (memory.events, cgroup.events, pids.events). Only names given at the start count; others are dropped here,
before they wake anybody. Pressure files (*.pressure) are never reported.

The removal of a cgroup is reported to the watch of its parent (IN_DELETE). A watch of the cgroup itself gets nothing from current kernels;
later kernels and plain directories report IN_DELETE_SELF. Both are handled.
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
"""s for which events are collected after a wake-up, so that many writes cause few wake-ups."""
RESTS = 9
"""The pause is also at least this many times as long as reading took: endless writes cost at most a tenth of a core here."""
HOLD_S = 0.05
"""Longest s for which `hold` leaves events with the kernel, which drops them beyond 16384 (max_queued_events)."""


class TakenEvents(NamedTuple):
    """What happened since the last `take`."""

    written: set[tuple[str, str]]
    """(directory, name of the file)"""
    removed: set[str]
    """directories that vanished: watched ones, and those directly below a watched one"""
    overflowed: bool
    """the kernel dropped events: anything may have happened"""


class CgroupWatch:
    """Watches until `close`. `add`, `remove`, `hold` and `take` are for one thread.

    names      names of the files that count, without their directory
    woken      called in a separate thread, named `drift`, when there is something to take; must not block
    on_death   called in that thread with the exception that ended it: a bug. Nobody is woken from then on

    Raises OSError when the kernel gives no inotify instance: EMFILE, since there is a limit per user.
    """

    def __init__(
        self, names: Collection[str], woken: Callable[[], None], on_death: Callable[[BaseException], None]
    ) -> None:
        self._names = frozenset(names)
        self._woken = woken
        self._on_death = on_death
        self._inotify = INotify()
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)
        self._by_path: dict[str, int] = {}
        self._paths: dict[int, str] = {}
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._pending: set[tuple[int, str, bool]] = set()
        """(watch, name, whether it was removed); a set, so that endless writes of one file do not make it grow"""
        self._overflowed = False
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Number of watched directories."""
        return len(self._by_path)

    def add(self, directory: str) -> bool:
        """Watch a directory; False when it does not exist. If it is already watched, check that it is still the same one.

        Raises OSError when the kernel's limit is reached: ENOSPC, see /proc/sys/fs/inotify/max_user_watches.
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
        """Stop watching. Needed for a removed cgroup too: until then the kernel keeps its remains."""
        watch = self._by_path.pop(directory, None)
        if watch is not None:
            self._paths.pop(watch, None)
            with contextlib.suppress(OSError):  # the kernel has ended it by itself
                self._inotify.rm_watch(watch)

    def hold(self, held: bool) -> None:
        """Whether a pass writes files now. Each write is an event, and nobody can heal before the pass ends. So the thread leaves the
        events with the kernel, `HOLD_S` at a time, and the interpreter to the pass.
        """
        if held:
            self._free.clear()
        else:
            self._free.set()

    def take(self) -> TakenEvents:
        """Everything that happened since the last call, including events that nobody was woken for yet. Never waits."""
        self._read()
        with self._lock:
            pending, self._pending = self._pending, set()
            overflowed, self._overflowed = self._overflowed, False
        written: set[tuple[str, str]] = set()
        removed: set[str] = set()
        for watch, name, gone in pending:
            directory = self._paths.get(watch)
            if directory is None:
                continue  # event of a watch that was removed meanwhile
            if not gone:
                written.add((directory, name))
            else:
                removed.add(f"{directory}/{name}" if name else directory)
        for directory in removed:
            self.remove(directory)
        return TakenEvents(written, removed, overflowed)

    def close(self) -> None:
        """End the thread."""
        os.eventfd_write(self._closed, 1)
        self._thread.join()
        self._inotify.close()
        os.close(self._closed)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001  # not swallowed, but handed on
            self._on_death(error)

    def _serve(self) -> None:
        both, closed = select.poll(), select.poll()
        for fd in (self._inotify.fileno(), self._closed):
            both.register(fd, select.POLLIN)
        closed.register(self._closed, select.POLLIN)
        while all(fd != self._closed for fd, _ in both.poll()):
            self._free.wait(HOLD_S)
            began = time.perf_counter()
            if self._read():
                self._woken()
            if closed.poll(max(PAUSE_S, RESTS * (time.perf_counter() - began)) * 1e3):
                return

    def _read(self) -> bool:
        """Keep the pending events that count. Returns whether there was any."""
        with self._lock:  # two threads read, and one would block after the other has taken all events
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
