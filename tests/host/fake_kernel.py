"""A fake kernel's cgroup files: in memory, with the texts that it shows and the writes that it refuses. Nothing here is a machine.

What it refuses was taken from the kernel (kernel/sched/core.c, kernel/cgroup/cpuset*.c, mm/memcontrol*.c) and, for v1, is compared with
the machine's own in test_host_writer_kernel.py. It knows nothing of koordnri's spelling.

After each write it looks at the whole tree: `violations` reports where a child had more than its parent, which v2 would have let pass,
and where memory.high or memory.max went below what is in use; with `sums`, also where children are protected by more than their parent.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from koordnri.host.cgroup.files import CgroupFiles
from tests.host.fake_disks import Disks

ROOT = Path("/fake")
PAGE = os.sysconf("SC_PAGE_SIZE")
NO_LIMIT = (2**63 - 1) // PAGE * PAGE
"""as memory.limit_in_bytes shows it"""
IO_KEYS = ("rbps", "wbps", "riops", "wiops")


@dataclass
class Cgroup:
    """State of one cgroup; None is "no limit", and on v2 an empty cpuset."""

    quota: int | None = None
    period: int = 100_000
    burst: int = 0
    shares: int = 1024
    weight: int = 100
    idle: int = 0
    bvt: int = 0
    cpus: frozenset[int] | None = None
    mems: str = ""
    limit: int = NO_LIMIT
    swap: int = NO_LIMIT
    high: int = NO_LIMIT
    min: int = 0
    low: int = 0
    usage: int = 0
    cache: int = 0
    """how much of the usage is given back when asked for"""
    numbers: dict[str, int] = field(default_factory=dict)
    """of files that hold one number and nothing else"""
    io_max: dict[str, dict[str, int]] = field(default_factory=dict)
    io_weight: dict[str, int] = field(default_factory=lambda: {"default": 100})
    disks: Disks = field(default_factory=Disks)

    @property
    def ratio(self) -> Fraction | None:
        return None if self.quota is None else Fraction(self.quota, self.period)

    def quota_or(self, unlimited: int) -> int:
        return unlimited if self.quota is None else self.quota


ALIBABA = {
    "memory.wmark_ratio": (0, range(101)),
    "memory.wmark_scale_factor": (50, range(1, 1001)),
    "memory.wmark_min_adj": (0, range(-25, 51)),
    "memory.priority": (0, range(13)),
    "memory.use_priority_oom": (0, range(2)),
    "memory.pagecache_limit.enable": (0, range(2)),
    "memory.pagecache_limit.size": (0, range(2**63)),
    "memory.pagecache_limit.sync": (0, range(2)),
}
"""Files of Alibaba's kernels, v1 and v2: what they have at first, and what they take. On v1 memory.min, low and high come with them."""
OOM_SCORE = {"processes/oom_score_adj": (0, range(-1000, 1001))}
"""Of all processes of a cgroup; there is one in each."""
NET_CLASS = {"net_cls.classid": (0, range(2**32))}
"""On v1 only."""
OOM_GROUP = {"memory.oom.group": (0, range(2))}


class FakeKernel(CgroupFiles):
    """`cgroups` by path; tests set the start state there. `log` has every write as (path below the root, text)."""

    def __init__(self, version: int, paths: Iterable[str] = (), cpus: Iterable[int] = range(8)) -> None:
        self.version = version
        self.online = frozenset(cpus)
        self.cgroups = {path: Cgroup(cpus=self.online if version == 1 else None) for path in paths}
        self.log: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.sums = False
        """whether what children share must not add up to more than their parent has"""
        self.alibaba = False
        self.host_files: dict[str, str] = {}
        """full path → text, of files that are in no cgroup"""
        self.missing: set[str] = set()
        """names of files that this kernel does not have"""
        self.group_identity = False
        """whether it is Anolis' kernel"""
        self.before_write: Callable[[str, str], None] = lambda path, text: None
        """what somebody else does at that moment: may change `cgroups`, or raise OSError"""
        self.after_write: Callable[[str, str], None] = lambda path, text: None

    # the interface

    def exists(self, path: str) -> bool:
        if path in self.host_files:
            return True
        if self._below(path) in ("", *self.cgroups):  # a directory: /fake/sys/fs/cgroup[/controller][/cgroup]
            return True
        try:
            cgroup, name = self._split(path)
        except FileNotFoundError:
            return False
        return name in self._files(cgroup)

    def read(self, path: str) -> str:
        if path in self.host_files:
            return self.host_files[path]
        if self.version == 2 and self._below(path) == "cpuset.cpus.effective":
            return _list(self.online) + "\n"
        cgroup, name = self._split(path)
        files = self._files(cgroup)
        if name not in files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return files[name] + "\n"

    def below(self, path: str) -> list[str]:
        above, children = self._below(path), [p.rpartition("/") for p in self.cgroups if p]
        return sorted(name for parent, _, name in children if parent == above)

    def write(self, path: str, text: str) -> None:
        self.before_write(path, text)
        if path in self.host_files:
            self.host_files[path] = f"{self._switched(path, text) if path.endswith('/features') else text}\n"
            self.log.append((path, text))
            return
        cgroup, name = self._split(path)
        if name not in self._files(cgroup):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._set(cgroup, name, text.strip())
        self.log.append((f"{cgroup}/{name}", text))
        self._look_for_violations(f"{cgroup}/{name} = {text.strip()}")
        self.after_write(path, text)

    def _switched(self, path: str, word: str) -> str:
        """The scheduler's features after one of them was written: sched_feat_write in kernel/sched/debug.c."""
        name = word.removeprefix("NO_")
        words = self.host_files[path].split()
        _refuse(name not in words and f"NO_{name}" not in words, errno.EINVAL)
        return " ".join(word if other in (name, f"NO_{name}") else other for other in words)

    # paths

    def _below(self, path: str) -> str:
        below = path.removeprefix(f"{ROOT}/sys/fs/cgroup").lstrip("/")
        if self.version == 1:
            controller, _, below = below.partition("/")
            if controller not in ("", "cpu", "cpuset", "memory", "blkio", "net_cls"):
                return "no such controller"
        return below

    def _split(self, path: str) -> tuple[str, str]:
        cgroup, _, name = self._below(path).rpartition("/")
        if cgroup.endswith("/processes"):
            cgroup, name = cgroup.removesuffix("/processes"), f"processes/{name}"
        if cgroup not in self.cgroups:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return cgroup, name

    def _parents(self, path: str) -> list[Cgroup]:
        """From the nearest to the top."""
        above = []
        while "/" in path:
            path = path.rpartition("/")[0]
            if path in self.cgroups:
                above.append(self.cgroups[path])
        return above

    def _effective(self, path: str) -> frozenset[int]:
        """CPUs that processes have on v2: of its own as far as the parent has them, else the parent's."""
        parent = path.rpartition("/")[0]
        above = self._effective(parent) if parent and parent in self.cgroups else self.online
        return (self.cgroups[path].cpus or above) & above or above

    def _children(self, path: str) -> list[Cgroup]:
        return [c for p, c in self.cgroups.items() if p.rpartition("/")[0] == path]

    # texts

    def _numbers_of(self, path: str) -> dict[str, tuple[int, range]]:
        numbers = (ALIBABA if self.alibaba else {}) | (OOM_GROUP if self.alibaba or self.version == 2 else {})
        return numbers | OOM_SCORE | (NET_CLASS if self.version == 1 else {})

    def _files(self, path: str) -> dict[str, str]:
        c = self.cgroups[path]
        if not path:
            return {n: text for n, text in c.disks.root_files(self.version).items() if n not in self.missing}
        memory = {"memory.high": _max(c.high), "memory.min": _max(c.min), "memory.low": _max(c.low)}
        if self.version == 1:
            files = {
                "cpu.cfs_quota_us": str(-1 if c.quota is None else c.quota),
                "cpu.cfs_period_us": str(c.period),
                "cpu.cfs_burst_us": str(c.burst),
                "cpu.shares": str(c.shares),
                "cpuset.cpus": _list(c.cpus or ()),
                "memory.limit_in_bytes": str(c.limit),
                "memory.memsw.limit_in_bytes": str(c.swap),
                "memory.usage_in_bytes": str(c.usage),
                **(memory if self.alibaba else {}),
            }
        else:
            files = {
                "cpu.max": f"{'max' if c.quota is None else c.quota} {c.period}",
                "cpu.max.burst": str(c.burst),
                "cpu.weight": str(c.weight),
                "cpuset.cpus": _list(c.cpus or ()),
                "cpuset.cpus.effective": _list(self._effective(path)),
                "memory.max": _max(c.limit),
                **memory,
                "memory.current": str(c.usage),
                "memory.reclaim": "",
                "io.max": "\n".join(
                    f"{disk} " + " ".join(f"{k}={limits.get(k, 'max')}" for k in IO_KEYS)
                    for disk, limits in c.io_max.items()
                    if limits
                ),
                "io.weight": "\n".join(f"{disk} {weight}" for disk, weight in c.io_weight.items()),
            }
        files |= c.disks.files(self.version)
        files |= {name: str(c.numbers.get(name, start)) for name, (start, _) in self._numbers_of(path).items()}
        files["cpu.idle"] = str(c.idle)
        files["cpuset.mems"] = c.mems
        if self.group_identity:
            files["cpu.bvt_warp_ns"] = str(c.bvt)
        return {name: text for name, text in files.items() if name not in self.missing}

    # writes

    def _set(self, path: str, name: str, text: str) -> None:
        c = self.cgroups[path]
        match name:
            case "cpu.cfs_quota_us":
                self._bandwidth(path, None if int(text) < 0 else int(text), c.period, c.burst)
            case "cpu.cfs_period_us":
                self._bandwidth(path, c.quota, int(text), c.burst)
            case "cpu.cfs_burst_us" | "cpu.max.burst":
                self._bandwidth(path, c.quota, c.period, int(text))
            case "cpu.max":
                quota, _, period = text.partition(" ")
                self._bandwidth(path, None if quota == "max" else int(quota), int(period or c.period), c.burst)
            case "cpu.idle":
                _refuse(text not in ("0", "1"), errno.ERANGE)
                if int(text) != c.idle:
                    c.idle, (c.shares, c.weight) = int(text), ((3, 0) if text == "1" else (1024, 100))
            case "cpuset.mems":
                c.mems = text
            case "cpu.bvt_warp_ns":
                _refuse(not -1 <= int(text) <= 2, errno.EINVAL)
                c.bvt = int(text)
            case "cpu.shares" | "cpu.weight" if c.idle:
                _refuse(True, errno.EINVAL)
            case "cpu.shares":
                c.shares = min(max(int(text), 2), 262_144)
            case "cpu.weight":
                _refuse(not 1 <= int(text) <= 10_000, errno.ERANGE)
                c.weight = int(text)
            case "cpuset.cpus":
                self._cpuset(path, _numbers(text))
            case "memory.limit_in_bytes":
                limit = _pages(text)
                _refuse(limit > c.swap, errno.EINVAL)
                _refuse(limit < c.usage, errno.EBUSY)
                c.limit = limit
            case "memory.memsw.limit_in_bytes":
                _refuse(_pages(text) < c.limit, errno.EINVAL)
                c.swap = _pages(text)
            case "memory.max":
                c.limit = _pages(text)
                if c.limit < c.usage:
                    self.violations.append(f"{path}: processes killed")
            case "memory.reclaim":
                given = min(int(text), c.cache)
                c.usage, c.cache = c.usage - given, c.cache - given
                _refuse(given < int(text), errno.EAGAIN)
            case "memory.high":
                c.high = _pages(text)
                if c.high < c.usage:
                    self.violations.append(f"{path}: tasks throttled")
            case "memory.min":
                c.min = _pages(text)
            case "memory.low":
                c.low = _pages(text)
            case "io.max":
                disk, *limits = text.split()
                _refuse(disk == "9:9", errno.ENODEV)
                for key, limit in (word.split("=") for word in limits):
                    _refuse(key not in IO_KEYS or limit == "0", errno.EINVAL)
                    at = c.io_max.setdefault(disk, {})
                    at.pop(key, None)
                    if limit != "max":
                        at[key] = int(limit)
            case "io.weight":
                disk, value = text.split()
                if disk != "default" and value == "default":
                    c.io_weight.pop(disk, None)
                    return
                _refuse(disk == "9:9", errno.EOPNOTSUPP)
                c.io_weight[disk] = 100 if value == "default" else int(value)
            case _ if name in (numbers := self._numbers_of(path)):
                _refuse(int(text) not in numbers[name][1], errno.EINVAL)
                c.numbers[name] = int(text)
            case _ if c.disks.set(name, text):
                pass
            case _:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    def _bandwidth(self, path: str, quota: int | None, period: int, burst: int) -> None:
        _refuse(not 1_000 <= period <= 1_000_000, errno.EINVAL)
        _refuse(quota is not None and (quota < 1_000 or burst > quota), errno.EINVAL)
        c = self.cgroups[path]
        before = c.quota, c.period, c.burst
        c.quota, c.period, c.burst = quota, period, burst
        if self.version == 1 and any(self._above_parent(p) for p in self.cgroups):
            c.quota, c.period, c.burst = before
            _refuse(True, errno.EINVAL)

    def _above_parent(self, path: str) -> bool:
        ratio = self.cgroups[path].ratio
        above = [parent.ratio for parent in self._parents(path) if parent.ratio is not None]
        return ratio is not None and bool(above) and ratio > min(above)

    def _cpuset(self, path: str, cpus: frozenset[int]) -> None:
        _refuse(not cpus <= self.online, errno.EINVAL)
        c = self.cgroups[path]
        if self.version == 2:
            # Processes run in all cgroups here; once set, it cannot be emptied then.
            _refuse(not cpus and bool(c.cpus), errno.ENOSPC)
            c.cpus = cpus or None
            return
        parents = self._parents(path)
        _refuse(any(not (child.cpus or frozenset()) <= cpus for child in self._children(path)), errno.EBUSY)
        _refuse(bool(parents) and not cpus <= (parents[0].cpus or frozenset()), errno.EACCES)
        c.cpus = cpus

    def _look_for_violations(self, write: str) -> None:
        for path, c in self.cgroups.items():
            problems = []
            if self._above_parent(path):
                problems.append("quota")
            for parent in self._parents(path):
                problems += [name for name in ("min", "low") if getattr(c, name) > getattr(parent, name)]
                problems += [
                    name
                    for name in ("limit", "high")
                    if getattr(c, name) < NO_LIMIT and getattr(c, name) > getattr(parent, name)
                ]
                if c.cpus is not None and parent.cpus is not None and not c.cpus <= parent.cpus:
                    problems.append("cpus")
            for name in ("min", "low") if self.sums else ():
                if sum(getattr(child, name) for child in self._children(path)) > getattr(c, name):
                    problems.append(f"its children's {name} together")
            self.violations += [f"{path}: {name} beyond the parent's after {write}" for name in problems]


def _refuse(condition: bool, number: int) -> None:
    if condition:
        raise OSError(number, os.strerror(number))


def _pages(text: str) -> int:
    return NO_LIMIT if text in ("max", "-1") else min(int(text) // PAGE * PAGE, NO_LIMIT)


def _max(value: int) -> str:
    return "max" if value >= NO_LIMIT else str(value)


def _numbers(text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def _list(numbers: Iterable[int]) -> str:
    return ",".join(str(n) for n in sorted(numbers))
