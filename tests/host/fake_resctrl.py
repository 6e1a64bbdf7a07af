"""A fake kernel's resctrl: groups in memory, threads in cgroups, and the refusals of fs/resctrl. Nothing here is a machine.

It knows nothing of koordnri's formulas: a schemata line is judged as parse_cbm, parse_bw and rdtgroup_schemata_write judge it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from koordnri.host.resctrl_groups import ResctrlFiles, ResctrlTree

ROOT = Path("/fake")
_TOP = f"{ROOT}/sys/fs/resctrl"
_CGROUPS = f"{ROOT}/sys/fs/cgroup"
_FIXED = ("info", "mon_groups", "mon_data")


@dataclass
class Group:
    """One group; `lines` by resource and cache id, as the kernel holds them."""

    lines: dict[str, dict[int, int]]
    counters: dict[tuple[int, str], str] = field(default_factory=dict)


@dataclass
class Thread:
    """`group` is inherited by what it makes."""

    cgroup: str
    group: str = ""


class FakeResctrl(ResctrlFiles):
    """`groups` by name, "" the default one; `threads` by id. `log` has what was done: ("mkdir", group), ("tasks", group, tid), …"""

    def __init__(
        self,
        *,
        cbm: int = 0x7FF,
        min_bits: int = 1,
        ids: tuple[int, ...] = (0, 1),
        caches: tuple[str, ...] = ("L3",),
        bandwidth: tuple[int, int, int] | None = (10, 10, 100),
        num_closids: int = 8,
        sparse_masks: bool = False,
        version: int = 2,
    ) -> None:
        self.cbm, self.min_bits, self.ids, self.caches = cbm, min_bits, ids, caches
        self.bandwidth = bandwidth
        """least, step, most"""
        self.num_closids = num_closids
        self.sparse_masks = sparse_masks
        self.version = version
        self.mounted = True
        self.status = "ok"
        self.groups: dict[str, Group] = {"": self._fresh()}
        self.threads: dict[int, Thread] = {}
        self.cgroups: set[str] = set()
        self.log: list[tuple[object, ...]] = []
        self.pid_shown = str(os.getpid())
        self.read_only = False
        """how it is mounted where the daemon runs"""
        self.before_write: Callable[[str, str], None] = lambda path, text: None
        """what happens just before a write: threads come and go, or it raises OSError"""
        self.before_read: Callable[[str], None] = lambda path: None
        self._tids = count(1000)

    @property
    def tree(self) -> ResctrlTree:
        return ResctrlTree(ROOT, self)

    # threads, as the kernel makes them

    def spawn(self, cgroup: str, group: str = "") -> int:
        """A new process in a cgroup; returns its thread id."""
        self.cgroups.add(cgroup)
        tid = next(self._tids)
        self.threads[tid] = Thread(cgroup, group)
        return tid

    def fork(self, tid: int) -> int:
        """A thread made by another: same cgroup, same group."""
        parent = self.threads[tid]
        return self.spawn(parent.cgroup, parent.group)

    def groups_of(self, cgroup: str) -> set[str]:
        return {t.group for t in self.threads.values() if t.cgroup == cgroup or t.cgroup.startswith(cgroup + "/")}

    # the edge

    def exists(self, path: str) -> bool:
        below = path.removeprefix(_CGROUPS).strip("/")
        return self.version == 2 or below in ("", "cpu", "cpuset")

    def writable(self, path: str) -> bool:
        assert path == f"{_TOP}/tasks"
        return not self.read_only

    def process_id_at(self, proc: str) -> str:
        assert proc == f"{ROOT}/proc"
        return self.pid_shown

    def directories(self, path: str) -> list[str]:
        if path == _TOP:
            return [*_FIXED, *(name for name in self.groups if name)] if self.mounted else []
        if path.startswith(_TOP):
            name, _, inner = path.removeprefix(_TOP).strip("/").rpartition("/")
            self._group(name, path)
            return [f"mon_L3_{i:02}" for i in self.ids] if inner == "mon_data" else []
        cgroup = self._cgroup(path)
        return sorted({c.removeprefix(f"{cgroup}/").split("/")[0] for c in self.cgroups if c.startswith(f"{cgroup}/")})

    def make(self, path: str) -> None:
        name = path.removeprefix(f"{_TOP}/")
        if not self.mounted:
            raise _error(errno.ENOENT, path)
        if "/" in name:
            raise _error(errno.EPERM, path)
        if name in self.groups or name in _FIXED:
            raise _error(errno.EEXIST, path)
        if len(self.groups) >= self.num_closids:
            self.status = "Out of CLOSIDs"
            raise _error(errno.ENOSPC, path)
        self.groups[name] = self._fresh()
        self.log.append(("mkdir", name))
        self.status = "ok"

    def remove(self, path: str) -> None:
        name = path.removeprefix(_TOP).strip("/")
        if not name or name in _FIXED:
            raise _error(errno.EPERM, path)
        self._group(name, path)
        del self.groups[name]
        for thread in self.threads.values():
            if thread.group == name:
                thread.group = ""
        self.log.append(("rmdir", name))

    def read(self, path: str) -> str:
        self.before_read(path)
        if not path.startswith(_TOP):
            cgroup, name = self._cgroup(path.rpartition("/")[0]), path.rpartition("/")[2]
            if name != ("cgroup.threads" if self.version == 2 else "tasks"):
                raise _error(errno.ENOENT, path)
            return "".join(f"{tid}\n" for tid, t in self.threads.items() if t.cgroup == cgroup)
        below = path.removeprefix(f"{_TOP}/")
        if below == "info/last_cmd_status":
            return self.status + "\n"
        group, _, name = below.rpartition("/")
        if "mon_data/" in below:
            group, _, file = below.partition("mon_data/")
            cache, _, counter = file.partition("/")
            counters = self._group(group.strip("/"), path).counters
            try:
                return counters[int(cache.removeprefix("mon_L3_")), counter] + "\n"
            except KeyError:
                raise _error(errno.ENOENT, path) from None
        found = self._group(group, path)
        match name:
            case "tasks":
                return "".join(f"{tid}\n" for tid, t in self.threads.items() if t.group == group)
            case "schemata":
                return "".join(
                    f"{resource:>6}:"
                    + ";".join(f"{i}={v:x}" if resource.startswith("L") else f"{i}={v:4}" for i, v in values.items())
                    + "\n"
                    for resource, values in found.lines.items()
                )
        raise _error(errno.ENOENT, path)

    def write(self, path: str, text: str) -> None:
        self.before_write(path, text)
        group, _, name = path.removeprefix(f"{_TOP}/").rpartition("/")
        found = self._group(group, path)
        match name:
            case "tasks":
                self._move(group, text)
            case "schemata":
                self._line(found, text)
                self.log.append(("schemata", group, text))
            case _:
                raise _error(errno.ENOENT, path)
        self.status = "ok"

    def _move(self, group: str, text: str) -> None:
        try:
            tid = int(text)  # kernels before 6.7 take one id only
        except ValueError:
            raise self._refuse(errno.EINVAL, f"Invalid task ID {text.strip()}") from None
        if tid not in self.threads:
            raise self._refuse(errno.ESRCH, f"No task {tid}")
        self.threads[tid].group = group
        self.log.append(("tasks", group, tid))

    def _line(self, group: Group, text: str) -> None:
        if not text.endswith("\n"):
            raise self._refuse(errno.EINVAL, "")
        staged: list[tuple[str, int, int]] = []
        for row in text.splitlines():
            resource, colon, domains = row.partition(":")
            if not colon:
                raise self._refuse(errno.EINVAL, "Missing ':'")
            if resource.strip() not in group.lines:
                raise self._refuse(errno.EINVAL, f"Unknown or unsupported resource name '{resource}'")
            values = group.lines[resource.strip()]
            seen = set()
            for domain in domains.rstrip(";").split(";"):
                cache_id, equals, value = domain.partition("=")
                if not equals or not cache_id.strip().isdecimal():
                    raise self._refuse(errno.EINVAL, "Missing '=' or non-numeric domain")
                number = int(cache_id)
                if number not in values:
                    raise self._refuse(errno.EINVAL, "Unknown domain")
                if number in seen:
                    raise self._refuse(errno.EINVAL, f"Duplicate domain {number}")
                seen.add(number)
                staged.append((resource.strip(), number, self._value(resource.strip(), value)))
        for resource, number, value_now in staged:
            group.lines[resource][number] = value_now

    def _value(self, resource: str, text: str) -> int:
        if resource == "MB":
            assert self.bandwidth is not None
            least, step, most = self.bandwidth
            if not text.isdecimal() or not least <= int(text) <= most:
                raise self._refuse(errno.EINVAL, f"MB value {text} out of range [{least},{most}]")
            return -(-int(text) // step) * step
        try:
            bits = int(text, 16)
        except ValueError:
            raise self._refuse(errno.EINVAL, f"Non-hex character in the mask {text}") from None
        if bits == 0 or bits > self.cbm:
            raise self._refuse(errno.EINVAL, "Mask out of range")
        if not self.sparse_masks and ((bits + (bits & -bits)) & bits):
            raise self._refuse(errno.EINVAL, f"The mask {bits:x} has non-consecutive 1-bits")
        if bits.bit_count() < self.min_bits:
            raise self._refuse(errno.EINVAL, f"Need at least {self.min_bits} bits in the mask")
        return bits

    def _fresh(self) -> Group:
        lines = {name: dict.fromkeys(self.ids, self.cbm) for name in self.caches}
        if self.bandwidth is not None:
            lines["MB"] = dict.fromkeys(self.ids, self.bandwidth[2])
        return Group(lines)

    def _group(self, name: str, path: str) -> Group:
        if not self.mounted or name not in self.groups:
            raise _error(errno.ENOENT, path)
        return self.groups[name]

    def _cgroup(self, path: str) -> str:
        below = path.removeprefix(f"{_CGROUPS}/")
        if self.version == 1:
            controller, _, below = below.partition("/")
            assert controller == "cpu"
        if below not in self.cgroups and not any(c.startswith(f"{below}/") for c in self.cgroups):
            raise _error(errno.ENOENT, path)
        return below

    def _refuse(self, number: int, status: str) -> OSError:
        self.status = status
        return _error(number, "")


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
