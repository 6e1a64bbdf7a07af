"""Reading the host's small files: below an injectable root, never raising, with a problem text for what is not as expected."""

from __future__ import annotations

import os
from pathlib import Path

from koordnri.model.cpuset import CPUSet

SYSFS_BYTES = 16384
"""Most that is read of a file. One attribute of sysfs is at most a page; of /proc only the beginning is wanted."""
_SHOWN_CHARACTERS = 60


class HostFiles:
    """The host's files below `root`, by paths such as `sys/fs/cgroup`.

    What does not exist reads as None (whether that is bad, the caller knows); what exists and cannot be read or understood reads as
    None too and leaves a text in `problems`: path, value, what was expected.
    """

    def __init__(self, root: Path) -> None:
        self.problems: list[str] = []
        # Plain strings: a Path for each of some thousand files would cost more than reading them.
        self._root = str(root).rstrip("/")

    def path(self, path: str) -> str:
        """The path as opened: with the root before it."""
        return f"{self._root}/{path}"

    def text(self, path: str, most_bytes: int = SYSFS_BYTES) -> str | None:
        """Contents without surrounding white space; bytes that are no UTF-8 are replaced."""
        try:
            fd = os.open(self.path(path), os.O_RDONLY | os.O_CLOEXEC)
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
            if len(text) <= 20 and text.isascii() and "_" not in text:  # `1_0` is a number in Python only
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
        """Names of the directories and of the other entries in a directory; a link counts as what it points to."""
        directories: list[str] = []
        others: list[str] = []
        try:
            with os.scandir(self.path(path)) as found:
                for entry in found:
                    (directories if entry.is_dir() else others).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._unreadable(path, error)
            return None
        return directories, others

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory that we may see."""
        return os.path.exists(self.path(path))

    def is_read_only(self, path: str) -> bool:
        """Whether it is on a file system that is mounted read-only."""
        try:
            return bool(os.statvfs(self.path(path)).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    def bad(self, path: str, value: str, expected: str) -> None:
        """Keep a problem: a file says something else than it should."""
        self.problems.append(f'{self.path(path)}: expected {expected}, got "{value[:_SHOWN_CHARACTERS]}"')

    def missing(self, path: str, expected: str) -> None:
        """Keep a problem: something that every such host has is not there."""
        self.problems.append(f"{self.path(path)}: expected {expected}, found nothing")

    def _unreadable(self, path: str, error: OSError) -> None:
        self.problems.append(f"{self.path(path)}: cannot be read: {error.strerror}")
