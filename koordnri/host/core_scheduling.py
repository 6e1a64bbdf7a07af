"""Core scheduling: tasks share a core's hardware threads only with tasks of the same cookie. prctl(PR_SCHED_CORE), Linux 5.14.

The kernel hands a cookie on through the calling thread: it takes the cookie of one process, and gives its own to others. So the calling
thread has it for a moment, and takes our first thread's again, which never has one. Source: the kernel's core-scheduling.rst.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterable

_PR_SCHED_CORE = 62
_GET, _CREATE, _SHARE_TO, _SHARE_FROM = range(4)
_THREAD, _PROCESS = range(2)
NO_COOKIE = 0
Call = Callable[[int, int, int, ctypes.c_ulonglong | None], None]
"""prctl(PR_SCHED_CORE, command, pid, scope, cookie). Raises OSError"""


class CoreScheduling:
    """Cookies of processes. Methods raise OSError as the kernel reports it. `call`: tests replace the kernel."""

    def __init__(self, call: Call | None = None) -> None:
        self._call = call or _prctl

    def why_not(self) -> str:
        """Why this kernel does none; "" if it does."""
        try:
            self.cookie(0)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return "its CPUs have one hardware thread per core"
            return "its kernel has no core scheduling (CONFIG_SCHED_CORE)"
        return ""

    def cookie(self, pid: int) -> int:
        """The cookie of a process' first thread; 0: the calling thread's."""
        found = ctypes.c_ulonglong(0)
        self._call(_GET, pid, _THREAD, found)
        return found.value

    def create(self, pid: int) -> None:
        """Give all threads of a process a new cookie."""
        self._call(_CREATE, pid, _PROCESS, None)

    def share(self, source: int, pids: Iterable[int]) -> list[OSError]:
        """Give all threads of these processes the cookie of `source`. Returns the errors but those of processes that have ended."""
        self._call(_SHARE_FROM, source, _THREAD, None)
        try:
            return self._give(pids)
        finally:
            self._call(_SHARE_FROM, os.getpid(), _THREAD, None)

    def clear(self, pids: Iterable[int]) -> list[OSError]:
        """Take the cookie from all threads of these processes. Returns errors as `share` does."""
        return self._give(pids)  # the calling thread has none

    def _give(self, pids: Iterable[int]) -> list[OSError]:
        errors = []
        for pid in pids:
            try:
                with contextlib.suppress(ProcessLookupError):
                    self._call(_SHARE_TO, pid, _PROCESS, None)
            except OSError as error:
                errors.append(error)
        return errors


_LIBC = ctypes.CDLL(None, use_errno=True)


def _prctl(command: int, pid: int, scope: int, cookie: ctypes.c_ulonglong | None) -> None:
    where = 0 if cookie is None else ctypes.addressof(cookie)
    words = (ctypes.c_ulong(word) for word in (command, pid, scope, where))
    if _LIBC.prctl(_PR_SCHED_CORE, *words) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
