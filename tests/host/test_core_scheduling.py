"""Cookies by prctl, on a table of cookies; and what this machine's kernel says."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from koordnri.host.core_scheduling import CoreScheduling

US = os.getpid()


class FakeKernel:
    """Process → cookie. The calling thread is `US`; 0 names it, too."""

    root = Path("/fake")

    def __init__(self, cookies: dict[int, int]) -> None:
        self.cookies = cookies
        self.refuses = 0
        self.writes = 0
        self._own = 0
        self._next = 100

    def call(self, command: int, pid: int, scope: int, cookie: ctypes.c_ulonglong | None) -> None:
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        if pid not in (0, US) and pid not in self.cookies:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        if command == 0:
            assert cookie is not None
            assert scope == 0, "EINVAL: only a thread's cookie can be read"
            cookie.value = self._own if pid in (0, US) else self.cookies[pid]
            return
        assert cookie is None, "EINVAL"
        self.writes += 1
        if command == 1:
            self._next += 1
            self.cookies[pid] = self._next
        elif command == 2:
            self.cookies[pid] = self._own
        else:
            assert scope == 0, "EINVAL: a thread's cookie is taken"
            self._own = 0 if pid == US else self.cookies[pid]


def test_a_cookie_is_shared_and_our_own_thread_keeps_none() -> None:
    kernel = FakeKernel({1: 0, 2: 0, 3: 0})
    core = CoreScheduling(kernel.call)
    core.create(1)
    assert core.share(1, [2, 9]) == [], "a process that has ended is no error"
    assert kernel.cookies == {1: 101, 2: 101, 3: 0}
    assert core.cookie(0) == 0
    assert core.clear([1, 2]) == []
    assert set(kernel.cookies.values()) == {0}


def test_our_thread_gives_the_cookie_back_also_after_an_error() -> None:
    kernel = FakeKernel({1: 7})
    core = CoreScheduling(kernel.call)
    with pytest.raises(ProcessLookupError):
        core.share(9, [1])
    assert core.cookie(0) == 0


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENODEV, "one hardware thread"), (errno.EINVAL, "CONFIG_SCHED_CORE")]
)
def test_why_a_kernel_does_none(number: int, words: str) -> None:
    kernel = FakeKernel({})
    kernel.refuses = number
    assert words in CoreScheduling(kernel.call).why_not()
    assert CoreScheduling(FakeKernel({}).call).why_not() == ""


def test_this_machines_kernel_answers_one_way_or_the_other() -> None:
    core = CoreScheduling()
    if core.why_not():
        with pytest.raises(OSError, match=r"."):
            core.cookie(US)
    else:
        assert core.cookie(US) == 0
