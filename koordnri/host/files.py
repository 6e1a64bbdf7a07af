"""Reads the host's small files below a root that can be replaced. It never raises; unexpected content leaves a problem text."""

from __future__ import annotations

import os
from pathlib import Path

from koordnri.model.cpuset import CPUSet

SYSFS_BYTES = 16384
"""Most bytes read of a file. An attribute in sysfs has at most a page; of /proc only the beginning is needed."""
_SHOWN_CHARACTERS = 60


class HostFiles:
    """The host's files below `root`, by paths such as `sys/fs/cgroup`.

    A missing file reads as None; the caller knows whether that is bad. A file that cannot be read or parsed reads as None too, and leaves
    a text in `problems`: path, value, what was expected.
    """

    def __init__(self, root: Path) -> None:
        self.problems: list[str] = []
        # Plain strings, because some thousand Path objects would cost more than reading the files.
        self._root = str(root).rstrip("/")

    def path(self, path: str) -> str:
        """The full path, with the root."""
        return f"{self._root}/{path}"

    def text(self, path: str, most_bytes: int = SYSFS_BYTES) -> str | None:
        """Content without surrounding white space; bytes that are not UTF-8 are replaced."""
        try:
            # Not waiting for the writer of a named pipe, who may never come.
            fd = os.open(self.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._unreadable(path, error)
            return None
        try:
            return os.read(fd, most_bytes).decode(errors="replace").strip()
        except OSError as error:
            self._unreadable(path, error)
            return None
        finally:
            os.close(fd)

    def number(self, path: str, base: int = 10) -> int | None:
        """A whole number, such as `-1` or, with base 16, `7ff`."""
        text = self.text(path)
        if text is None:
            return None
        try:
            if len(text) <= 20 and text.isascii() and "_" not in text:  # only Python accepts `1_0`
                return int(text, base)
        except ValueError:
            pass
        self.bad(path, text, "a number" if base == 10 else "a hexadecimal number")
        return None

    def cpus(self, path: str) -> CPUSet | None:
        """A list of CPUs in the kernel's format."""
        text = self.text(path)
        if text is None:
            return None
        try:
            return CPUSet.parse(text)
        except ValueError as error:
            self.problems.append(f"{self.path(path)}: {error}")
            return None

    def entries(self, path: str) -> tuple[list[str], list[str]] | None:
        """Names of the directories and of the other entries in a directory; a link counts as its target."""
        directories: list[str] = []
        others: list[str] = []
        try:
            with os.scandir(self.path(path)) as found:
                for entry in found:
                    (directories if _is_directory(entry) else others).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._unreadable(path, error)
            return None
        return directories, others

    def exists(self, path: str) -> bool:
        """Whether the file or directory exists and we may see it."""
        return os.path.exists(self.path(path))

    def shares_pids(self) -> bool:
        """Whether our process ids are the host's. In a pid namespace of our own its processes cannot be named."""
        try:
            return os.readlink(self.path("proc/self")) == str(os.getpid())
        except OSError:
            return False

    def is_read_only(self, path: str) -> bool:
        """Whether it is on a file system that is mounted read-only."""
        try:
            return bool(os.statvfs(self.path(path)).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    def bad(self, path: str, value: str, expected: str) -> None:
        """Add a problem: the file's content is not as expected."""
        self.problems.append(f'{self.path(path)}: expected {expected}, got "{value[:_SHOWN_CHARACTERS]}"')

    def missing(self, path: str, expected: str) -> None:
        """Add a problem: something is missing that every such host has."""
        self.problems.append(f"{self.path(path)}: expected {expected}, found nothing")

    def _unreadable(self, path: str, error: OSError) -> None:
        self.problems.append(f"{self.path(path)}: cannot be read: {error.strerror}")


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example: whoever reads it sees the error
        return False
