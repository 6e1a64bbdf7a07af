"""Access to the kernel's cgroup files: read whole, write in one piece, nothing else."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from koordnri.host.cgroup.process_files import OF_PROCESSES, read_of_processes, write_of_processes

_READ_BYTES = 16_384
"""One read covers every file, except an io.max of hundreds of disks."""


class CgroupFiles:
    """Files of cgroupfs by full path. Methods raise OSError as the kernel reports it; tests replace this by a kernel that refuses."""

    def read(self, path: str) -> str:
        """The whole text, including its last newline."""
        if OF_PROCESSES in path:
            return read_of_processes(path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, _READ_BYTES)
            if len(data) == _READ_BYTES:
                while more := os.read(fd, _READ_BYTES):
                    data += more
        finally:
            os.close(fd)
        return data.decode(errors="replace")

    def write(self, path: str, text: str) -> None:
        """Write in one call, because the kernel takes each call as a whole value. Never creates a file."""
        if OF_PROCESSES in path:
            write_of_processes(path, text)
            return
        data = text.encode()
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.write(fd, data)
            if written != len(data):
                raise OSError(errno.EIO, f"took {written} of {len(data)} bytes")
            # In cgroupfs every file has size 0. In a tree of plain files the rest of a longer old value must be cut off.
            if os.fstat(fd).st_size > written:
                os.ftruncate(fd, written)
        finally:
            os.close(fd)

    def exists(self, path: str) -> bool:
        """Whether the file or directory exists."""
        try:
            os.stat(path)
        except (OSError, ValueError):
            return False
        return True

    def below(self, path: str) -> list[str]:
        """Names of the cgroups in a cgroup; none when it cannot be read."""
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except OSError:
            return []


class PacedFiles(CgroupFiles):
    """The same, for a thread that must not delay other threads.

    Each system call releases and retakes the GIL; a thread waiting for the GIL can starve for 4 ms while this one reads many files in a
    row. No switch interval helps, since each failed attempt restarts its wait. So a short sleep now and then lets the others run.

    beside   whether other threads may be waiting: a sleep costs about as much as reading ten files
    """

    EVERY_S = 0.0001
    PAUSE_S = 0.00001
    """Until the kernel wakes us up, it becomes about 0.08 ms."""

    def __init__(self, beside: Callable[[], bool]) -> None:
        self._beside = beside
        self._pause_at_s = 0.0

    def read(self, path: str) -> str:
        if time.perf_counter() >= self._pause_at_s:
            if self._beside():
                time.sleep(self.PAUSE_S)
            self._pause_at_s = time.perf_counter() + self.EVERY_S
        return super().read(path)
