"""The statistics files of cgroups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOST_BELOW = 1000
"""Most cgroups of one container that are read: a container may make as many as it likes."""
_ROOT = "sys/fs/cgroup"
_HIERARCHIES = {
    "cpu": ("cpu", "cpu,cpuacct", "cpuacct,cpu"),
    "cpuacct": ("cpuacct", "cpu,cpuacct", "cpuacct,cpu"),
    "memory": ("memory",),
    "blkio": ("blkio",),
}
"""v1: controller → where it may be mounted"""
_READ_BYTES = 1 << 16
"""One read covers every file but a list of many threads."""


class UsageFiles:
    """Files below `root`/sys/fs/cgroup and `root`/proc.

    version   of the cgroups, 1 or 2. Callers name a v1 controller with every file; on v2 it does not count
    """

    def __init__(self, root: Path, version: int) -> None:
        self.version = version
        # Plain strings, because some thousand Path objects would cost more than reading the files.
        self._root = str(root).rstrip("/")
        top = f"{self._root}/{_ROOT}"
        self._tops = dict.fromkeys(_HIERARCHIES, top)
        if version == 1:
            for controller, names in _HIERARCHIES.items():
                there = (name for name in names if os.path.isdir(f"{top}/{name}"))
                self._tops[controller] = f"{top}/{next(there, controller)}"

    def exists(self, directory: str) -> bool:
        """Whether the cgroup exists."""
        return os.path.isdir(f"{self._tops['cpu']}/{directory}")

    def path(self, controller: str, directory: str, name: str) -> str:
        """Full path of a cgroup's file."""
        return f"{self._tops[controller]}/{directory}/{name}"

    def in_proc(self, name: str) -> str:
        """Full path of a file of the host's /proc."""
        return f"{self._root}/proc/{name}"

    def text(self, controller: str, directory: str, name: str) -> str | None:
        """The text of a cgroup's file; None when it cannot be read."""
        return _read(self.path(controller, directory, name))

    def number(self, controller: str, directory: str, name: str) -> int | None:
        """The number in a cgroup's file; None for `max` and everything else."""
        text = (self.text(controller, directory, name) or "").strip()
        return int(text) if _is_number(text) else None

    def numbers(self, controller: str, directory: str, name: str) -> dict[str, int] | None:
        """The lines `KEY NUMBER` of a cgroup's file; other lines are left out. None when it cannot be read."""
        text = self.text(controller, directory, name)
        if text is None:
            return None
        pairs = (line.split() for line in text.splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and _is_number(pair[1])}

    def below(self, directory: str) -> Iterator[str]:
        """The cgroup and the cgroups below it, MOST_BELOW at most."""
        left, seen = [directory], 0
        while left and seen < MOST_BELOW:
            one = left.pop()
            seen += 1
            yield one
            try:
                with os.scandir(f"{self._tops['cpu']}/{one}") as found:
                    left += [f"{one}/{entry.name}" for entry in found if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue

    def of_thread(self, thread: str, name: str) -> str | None:
        """The text of a thread's file in /proc; None when it cannot be read."""
        return _read(f"{self._root}/proc/{thread}/{name}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def _read(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, _READ_BYTES)
        # The kernel gives lists of threads page by page.
        while more := os.read(fd, _READ_BYTES):
            data += more
    except OSError:  # the cgroup was removed after its file was opened
        return None
    finally:
        os.close(fd)
    return data.decode(errors="replace")
