"""Landlock: the process gives up the right to write anything but some directories and files, for good.

What is open already is not affected. The kernel's interface is Documentation/userspace-api/landlock.rst. glibc has no
wrappers, so the three system calls are made by number.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""the same numbers on all architectures that Python runs on but alpha"""
_GET_VERSION = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38
LEAST_VERSION = 2
"""The first one forbids every renaming from one directory to another, which the control socket needs. Linux 5.19 has the second."""

_WRITE_FILE, _REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE, _MAKE_SOCKET = (1 << bit for bit in (1, 4, 5, 7, 8, 9))
_MAKE_OTHERS = sum(1 << bit for bit in (6, 10, 11, 12))
"""devices, FIFOs, symbolic links: nowhere"""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_ALLOWED = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _MAKE_SOCKET | _REFER


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_version() -> int:
    """The version of the kernel's interface; 0: this kernel has none, or it is switched off, or a seccomp profile refuses it."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_GET_VERSION))
    except OSError:
        return 0


def restrict_writes(paths: Iterable[Path]) -> None:
    """From now on this thread, and all threads and processes that it starts, write only below these directories, and these files.

    They must exist. Reading and executing stay as they are. Call it before any other thread exists. Raises OSError, and nothing is
    restricted then.
    """
    version = landlock_version()
    if version < LEAST_VERSION:
        raise OSError(errno.ENOSYS, f"Landlock has version {version} here, and {LEAST_VERSION} is needed")
    cut = _TRUNCATE if version >= 3 else 0
    handled = _Ruleset(_ALLOWED | _MAKE_OTHERS | cut)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), ctypes.c_uint32(0))
    try:
        for path in paths:
            _allow(ruleset, path, _ALLOWED | cut if path.is_dir() else _WRITE_FILE | cut)
        # Otherwise a set-user-ID program could be started under our rules; the kernel asks for it.
        _checked(_LIBC.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, parent)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def _call(number: int, *arguments: object) -> int:
    return _checked(_LIBC.syscall(ctypes.c_long(number), *arguments))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
