"""A file of /proc that each process of a cgroup has, as if it were one file of the cgroup.

    /sys/fs/cgroup/…/CONTAINER/processes/oom_score_adj   reads as `985`, or as `0 985` where processes differ, the oldest first

There is no such file: `CgroupFiles` hands these paths to this module. A process that ends meanwhile is left out; a new one has its
parent's value. A cgroup without processes counts as gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from koordnri.model.field import PROCESSES

OF_PROCESSES = f"/{PROCESSES}/"
_CGROUPS = "/sys/fs/cgroup/"
_DEEPEST = 16
"""Deepest level below a container's cgroup that is searched; a container may make its own cgroups."""
_ENDED = (errno.ENOENT, errno.ESRCH)


def read_of_processes(path: str) -> str:
    """The distinct values, in the order of the process ids. Raises OSError; FileNotFoundError if no process is there."""
    values: dict[str, None] = {}
    for file in _files_of(path):
        try:
            values[_read(file).strip()] = None
        except OSError as error:
            if error.errno not in _ENDED:
                raise
    if not values:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return " ".join(values)


def write_of_processes(path: str, text: str) -> None:
    """Write each file that reads otherwise. Raises the first OSError, after all were tried."""
    refused: OSError | None = None
    for file in _files_of(path):
        try:
            if _read(file).strip() != text.strip():
                _write(file, text)
        except OSError as error:
            if error.errno not in _ENDED and refused is None:
                refused = error
    if refused is not None:
        raise refused


def process_ids(directory: str) -> list[int]:
    """Ids of all processes in a cgroup and below it, ascending. Raises OSError. `directory`: full path."""
    found: set[int] = set()
    for one in _and_below(directory, _DEEPEST):
        try:
            text = _read(f"{one}/cgroup.procs")
        except OSError as error:
            if one == directory or error.errno not in (*_ENDED, errno.ENODEV, errno.EOPNOTSUPP):
                raise
            continue
        # A process in a pid namespace that we do not see is listed as 0.
        found |= {int(word) for word in text.split() if word.isdecimal() and word != "0"}
    return sorted(found)


def _files_of(path: str) -> Iterator[str]:
    directory, _, name = path.rpartition(OF_PROCESSES)
    host = path.partition(_CGROUPS)[0]
    return (f"{host}/proc/{pid}/{name}" for pid in process_ids(directory))


def _and_below(directory: str, depth: int) -> Iterator[str]:
    yield directory
    try:
        if not depth or os.stat(directory).st_nlink == 2:  # the link count includes subdirectories, and few have any
            return
        with os.scandir(directory) as found:
            names = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for name in names:
        yield from _and_below(f"{directory}/{name}", depth - 1)


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
