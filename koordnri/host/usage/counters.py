"""Files of counters that are read every second: their descriptors stay open, for opening costs four times as much as reading."""

from __future__ import annotations

import contextlib
import os

_MOST_DIGITS = 20
_MOST_BYTES = 1 << 14
"""One read covers every file of counters."""


class CounterFile:
    """One file. Never raises: what cannot be read is b"".

    keep_open   False: it is opened for each reading, because the process may not have so many descriptors
    """

    __slots__ = ("_absent", "_fd", "_keep_open", "_path")

    def __init__(self, path: str, *, keep_open: bool = True) -> None:
        self._path = path
        self._keep_open = keep_open
        self._fd = -1
        self._absent = False
        """whether this kernel has no such file, so that it need not be tried again"""

    def read(self) -> bytes:
        """The file's text now."""
        fd = self._fd
        if fd < 0:
            if self._absent:
                return b""
            try:
                fd = self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._absent = os.path.isdir(os.path.dirname(self._path))
                return b""
            except OSError:  # now, for example because no descriptor is left
                return b""
        try:
            data = os.pread(fd, _MOST_BYTES, 0)
        except OSError:  # the cgroup was removed; one of the same name may have been made since
            data = b""
        if not data or not self._keep_open:
            self.close()
        return data

    def close(self) -> None:
        """Give the descriptor back. A later `read` opens the file again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


def number_after(data: bytes, key: bytes) -> int | None:
    """The number behind a key and one space, at the start of a line; None when there is none."""
    if data.startswith(key):
        start = len(key)
    else:
        start = data.find(b"\n" + key + b" ") + 1 + len(key)
        if start == len(key):
            return None
    end = data.find(b"\n", start)
    text = data[start + 1 : end if end >= 0 else None]
    return int(text) if text.isdigit() and len(text) <= _MOST_DIGITS else None


def first_number(data: bytes) -> int | None:
    """The number that a file has; None for `max` and everything else."""
    text = data.rstrip()
    return int(text) if text.isdigit() and len(text) <= _MOST_DIGITS else None


def average_10s(data: bytes) -> float | None:
    """`some avg10` of a file of pressure stall information: percent; None when it has none."""
    if not data.startswith(b"some "):
        return None
    start = data.find(b"avg10=")
    try:
        return float(data[start + 6 :].split(None, 1)[0])
    except (ValueError, IndexError):
        return None


def disk_bytes(data: bytes) -> tuple[int, int]:
    """(read, written) bytes of io.stat (v2) or blkio.throttle.io_service_bytes (v1), over all disks."""
    read = written = 0
    for line in data.splitlines():
        words = line.split()
        if len(words) == 3 and words[2].isdigit():  # v1: `8:0 Read 4096`
            read += int(words[2]) if words[1] == b"Read" else 0
            written += int(words[2]) if words[1] == b"Write" else 0
            continue
        for word in words[1:]:
            if word.startswith(b"rbytes="):
                read += _whole(word[7:])
            elif word.startswith(b"wbytes="):
                written += _whole(word[7:])
    return read, written


def _whole(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= _MOST_DIGITS else 0
