"""The edge to the kernel's cgroup files: read whole, write in one piece, and nothing else."""

from __future__ import annotations

import errno
import os

_READ_BYTES = 16_384
"""One read takes any file but an io.max of hundreds of disks."""


class CgroupFiles:
    """Files of cgroupfs by full path. Every method raises OSError as the kernel gives it; a test puts a refusing kernel in its place."""

    def read(self, path: str) -> str:
        """The whole text, with its last newline."""
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
        """Write in one call, for the kernel takes each call as a whole value. Never creates a file."""
        data = text.encode()
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.write(fd, data)
            if written != len(data):
                raise OSError(errno.EIO, f"took {written} of {len(data)} bytes")
            # cgroupfs says 0 for every file. In a tree of plain files the end of a longer old value would stay behind.
            if os.fstat(fd).st_size > written:
                os.ftruncate(fd, written)
        finally:
            os.close(fd)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return os.path.exists(path)
