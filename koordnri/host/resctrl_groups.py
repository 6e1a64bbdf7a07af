"""Operations on resctrl groups: make, write schemata, move threads, remove, read monitors.

This module does not know which groups should exist. If the kernel refuses, it raises `ResctrlRefused` with the kernel's reason from
`info/last_cmd_status`. Source: the kernel's resctrl.rst; errors: fs/resctrl/rdtgroup.c and ctrlmondata.c.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from koordnri.host.cgroup.files import CgroupFiles
from koordnri.model.schemata import Lines, line, parse

ROOT_GROUP = ""
"""The default group, which has all threads that nobody moved."""
_RESCTRL = "sys/fs/resctrl"
_CGROUPS = "sys/fs/cgroup"
_NO_GROUPS = frozenset({"info", "mon_groups", "mon_data"})
_V1_CONTROLLERS = ("cpu", "cpu,cpuacct", "cpuset", "memory")
_COUNTERS = ("llc_occupancy", "mbm_total_bytes", "mbm_local_bytes")
_READ_BYTES = 65_536
_DEEPEST = 16
"""Deepest level below a container's cgroup that is searched for threads; a container may make its own cgroups."""
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)


class ResctrlRefused(Exception):
    """The kernel refused. `number` is the errno, `status` the text in `last_cmd_status`, "" when there is none."""

    def __init__(self, message: str, number: int, status: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.status = status


class ResctrlFiles(CgroupFiles):
    """Access to the kernel. Methods raise OSError as the kernel reports it; tests replace this by a kernel that refuses."""

    def read(self, path: str) -> str:
        """The whole text, read to its end: for a list of threads the kernel returns at most a page at a time."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(fd, _READ_BYTES):
                parts.append(part)
        finally:
            os.close(fd)
        return b"".join(parts).decode(errors="replace")

    def directories(self, path: str) -> list[str]:
        """Names of the directories in a directory."""
        if os.stat(path).st_nlink == 2:  # the link count includes subdirectories, and few cgroups have any
            return []
        with os.scandir(path) as found:
            return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]

    def make(self, path: str) -> None:
        """Make a directory."""
        os.mkdir(path, 0o755)

    def remove(self, path: str) -> None:
        """Remove a directory; the kernel removes the files in it."""
        os.rmdir(path)

    def writable(self, path: str) -> bool:
        """Whether mount and mode let us write to a file; True for a file that does not exist."""
        return os.access(path, os.W_OK) or not os.path.exists(path)

    def process_id_at(self, proc: str) -> str:
        """Our process id in that /proc."""
        return os.readlink(f"{proc}/self")


class ResctrlTree:
    """The groups below `root`/sys/fs/resctrl. Used by one thread, except `put`."""

    def __init__(self, root: Path, files: ResctrlFiles | None = None) -> None:
        self._files = files or ResctrlFiles()
        top = str(root).rstrip("/")
        self._groups = f"{top}/{_RESCTRL}"
        self._cgroups = f"{top}/{_CGROUPS}"
        self._proc = f"{top}/proc"
        self._shares_pids = False

    # -- groups -------------------------------------------------------------------------------------------------------

    def groups(self) -> frozenset[str] | None:
        """Names of the existing groups; None if resctrl is not mounted."""
        try:
            names = self._files.directories(self._groups)
        except OSError:
            return None
        return frozenset(names) - _NO_GROUPS if "info" in names else None

    def make(self, group: str) -> None:
        """Make a group; one that exists is fine. Raises ResctrlRefused, with ENOSPC when no class or monitor is left."""
        try:
            self._files.make(self._path(group))
        except FileExistsError:
            return
        except OSError as error:
            raise self._refused(f"{self._path(group)}: cannot be made", error) from None

    def remove(self, group: str) -> None:
        """Remove a group; its threads return to the root group. A missing one is fine. Raises ResctrlRefused."""
        try:
            self._files.remove(self._path(group))
        except OSError as error:
            if error.errno not in _GONE:
                raise self._refused(f"{self._path(group)}: cannot be removed", error) from None

    def schemata(self, group: str) -> Lines:
        """Raises ResctrlRefused."""
        path = f"{self._path(group)}/schemata"
        try:
            return parse(self._files.read(path))
        except OSError as error:
            raise self._refused(f"{path}: cannot be read", error) from None

    def set_line(self, group: str, resource: str, values: Mapping[int, int]) -> None:
        """Write one line, so that a refused one costs no other. Raises ResctrlRefused."""
        path, text = f"{self._path(group)}/schemata", line(resource, values)
        try:
            self._files.write(path, text)
        except OSError as error:
            raise self._refused(f"{path}: the kernel refuses {text.strip()!r}", error) from None

    # -- threads ------------------------------------------------------------------------------------------------------

    def shares_pids(self) -> bool:
        """Whether our thread ids are the host's. In a pid namespace of our own we would move nobody, or ourselves."""
        if not self._shares_pids:  # once true, it stays true
            try:
                self._shares_pids = self._files.process_id_at(self._proc) == str(os.getpid())
            except OSError:
                return False
        return self._shares_pids

    def is_writable(self) -> bool:
        """Whether threads can be moved into groups: not if the host's /sys is mounted read-only."""
        return self._files.writable(f"{self._groups}/tasks")

    def tasks(self, group: str) -> set[int]:
        """Ids of the threads in a group; empty when the group is gone. Raises ResctrlRefused."""
        path = f"{self._path(group)}/tasks"
        try:
            return _numbers(self._files.read(path))
        except OSError as error:
            if error.errno in _GONE:
                return set()
            raise self._refused(f"{path}: cannot be read", error) from None

    def put(self, group: str, thread: int) -> bool:
        """Move one thread into a group; every kernel accepts one id per write. False when the thread has ended.

        Any thread may call this. Raises ResctrlRefused, with ENOENT when the group does not exist.
        """
        path = f"{self._path(group)}/tasks"
        try:
            self._files.write(path, f"{thread}\n")
        except ProcessLookupError:
            return False
        except OSError as error:
            raise self._refused(f"{path}: the kernel refuses thread {thread}", error) from None
        return True

    def threads(self, directory: str, version: int) -> set[int]:
        """Ids of the threads in a cgroup and its descendants; empty when it is gone. `directory` is below the cgroup root."""
        if not directory or directory.startswith("/") or ".." in directory.split("/"):
            raise ResctrlRefused(
                f"cgroup: expected a path below the cgroup root, got {directory[:120]!r}", errno.EINVAL
            )
        found: set[int] = set()
        top, name = (self._cgroups, "cgroup.threads") if version == 2 else (self._v1_top(), "tasks")
        for path in self._and_below(f"{top}/{directory}", _DEEPEST):
            try:
                found |= _numbers(self._files.read(f"{path}/{name}"))
            except OSError as error:
                if error.errno not in _GONE:
                    raise ResctrlRefused(f"{path}/{name}: cannot be read: {error.strerror}", error.errno or 0) from None
        return found

    def _and_below(self, path: str, depth: int) -> Iterator[str]:
        yield path
        try:
            names = self._files.directories(path) if depth else []
        except OSError:
            return
        for name in names:
            yield from self._and_below(f"{path}/{name}", depth - 1)

    def _v1_top(self) -> str:
        for controller in _V1_CONTROLLERS:
            if self._files.exists(f"{self._cgroups}/{controller}"):
                return f"{self._cgroups}/{controller}"
        return f"{self._cgroups}/{_V1_CONTROLLERS[0]}"

    # -- monitoring ---------------------------------------------------------------------------------------------------

    def readings(self, group: str) -> dict[tuple[int, str], int]:
        """(cache id, counter) → bytes, from a group's own monitor. Values that the hardware does not have now are left out."""
        found: dict[tuple[int, str], int] = {}
        top = f"{self._path(group)}/mon_data"
        try:
            names = self._files.directories(top)
        except OSError:
            return found
        for name in names:
            cache_id = name.removeprefix("mon_L3_")
            if cache_id == name or not cache_id.isdecimal():
                continue
            for counter in _COUNTERS:
                try:
                    text = self._files.read(f"{top}/{name}/{counter}").strip()
                except OSError:
                    continue
                if text.isdecimal() and len(text) <= 20:  # else Unavailable, Error or Unassigned
                    found[int(cache_id), counter] = int(text)
        return found

    def _path(self, group: str) -> str:
        # One mistake here would write, as root, to somebody else's group or outside of resctrl.
        if "/" in group or group in (".", "..") or group in _NO_GROUPS or "\n" in group:
            raise ResctrlRefused(f"resctrl: expected the name of a group, got {group[:120]!r}", errno.EINVAL)
        return f"{self._groups}/{group}" if group else self._groups

    def _refused(self, what: str, error: OSError) -> ResctrlRefused:
        text = f"{what}: {error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
        try:
            status = self._files.read(f"{self._groups}/info/last_cmd_status").strip()
        except OSError:
            status = ""
        status = "" if status == "ok" else status[:200]
        return ResctrlRefused(f"{text}: {status}" if status else text, error.errno or 0, status)


def _numbers(text: str) -> set[int]:
    # A thread in a pid namespace that we do not see is listed as 0, which as a thread id means "myself".
    return {int(word) for word in text.split() if word.isdecimal() and word != "0"}
