"""The machine's cgroups as kubelet and a test see them: v1 hierarchies or v2, cgroupfs or systemd driver.

Values read have one meaning for both versions: quota and period in µs, limits in bytes, -1 for unlimited, cpusets as
the kernel prints them. Shares become a weight on v2 by a formula that depends on runc, so they are compared, not read.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

UNLIMITED = -1
_V1_FILES = {
    "cpu.quota": ("cpu", "cpu.cfs_quota_us"),
    "cpu.period": ("cpu", "cpu.cfs_period_us"),
    "cpu.shares": ("cpu", "cpu.shares"),
    "cpu.cpus": ("cpuset", "cpuset.cpus"),
    "cpu.mems": ("cpuset", "cpuset.mems"),
    "memory.limit": ("memory", "memory.limit_in_bytes"),
}
_V2_FILES = {
    "cpu.quota": "cpu.max",
    "cpu.period": "cpu.max",
    "cpu.weight": "cpu.weight",
    "cpu.cpus": "cpuset.cpus",
    "cpu.mems": "cpuset.mems",
    "memory.limit": "memory.max",
}
_V1_NO_LIMIT = 0x7FFFFFFFFFFFF000
_BUSY_S = 2.0
"""The kernel reports a cgroup busy for a moment after its last process was reaped; on a busy machine the moment is long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What kubelet writes into a pod's cgroup; 0 leaves alone, -1 is unlimited."""

    shares: int = 0
    quota_us: int = 0
    memory_bytes: int = 0


class Cgroups:
    """The hierarchies of this machine, read from its mount table."""

    def __init__(self, systemd: bool) -> None:
        self.systemd = systemd
        self.hierarchies: dict[str, Path] = {}
        self._unified = Path()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, target, kind, options = line.split()[:4]
            if kind == "cgroup":
                for option in options.split(","):
                    self.hierarchies.setdefault(option, Path(target))
            elif kind == "cgroup2":
                self._unified = Path(target)
        self.version = 1 if "cpu" in self.hierarchies else 2

    def roots(self) -> list[Path]:
        """Mount points of every hierarchy, each once; on a hybrid machine the unified one comes last."""
        mounted = dict.fromkeys(self.hierarchies.values()) if self.version == 1 else {}
        return [*mounted, self._unified] if self._unified != Path() else list(mounted)

    # kubelet's side: the directories above the containers

    def make(self, path: str, limits: Limits) -> None:
        """Create the cgroup `path` (such as /kubepods/burstable/podX, or the systemd slices of that meaning)."""
        if self.systemd:
            _systemctl("start", path.rpartition("/")[2])
        elif self.version == 2:
            self._make_v2(path)
        else:
            for root in dict.fromkeys(self.hierarchies.values()):
                self._make_v1(root, path)
        self.limit(path, limits)

    def limit(self, path: str, limits: Limits) -> None:
        """Write a pod's limits, as kubelet does at its creation and at a resize."""
        if self.systemd:
            _systemctl("set-property", "--runtime", path.rpartition("/")[2], *_properties(limits))
            return
        if self.version == 2:
            directory = self._unified / path.lstrip("/")
            weight = shares_to_weights(limits.shares)[0] if limits.shares else 0
            files = [
                ("cpu.weight", weight),
                ("cpu.max", "max" if limits.quota_us == UNLIMITED else limits.quota_us),
                ("memory.max", "max" if limits.memory_bytes == UNLIMITED else limits.memory_bytes),
            ]
            for name, value in files:
                if value:
                    (directory / name).write_text(str(value))
            return
        for field, number in (
            ("cpu.shares", limits.shares),
            ("cpu.quota", limits.quota_us),
            ("memory.limit", limits.memory_bytes),
        ):
            if number:
                controller, name = _V1_FILES[field]
                (self.hierarchies[controller] / path.lstrip("/") / name).write_text(str(number))

    def remove(self, path: str) -> None:
        """Remove the cgroup `path` and the empty ones above it, in all hierarchies. Busy ones stay."""
        if self.systemd:
            # systemd removes a slice's directory with the slice; an absent one is no failure.
            _systemctl("stop", path.rpartition("/")[2], check=False)
            return
        for root in self.roots():
            directory = root / path.lstrip("/")
            if not _rmdir(directory):
                continue
            # Only the directories themselves: a neighbour that is being made is empty still.
            with contextlib.suppress(OSError):
                for parent in directory.parents:
                    if parent == root:
                        break
                    parent.rmdir()

    # the test's side: what a container got

    def of(self, pid: int) -> dict[str, Path]:
        """Directory of process `pid` by controller; on v2 one, under the key ""."""
        found = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            number, names, path = line.split(":", 2)
            if number == "0" and self.version == 2:
                found[""] = self._unified / path.lstrip("/")
            for name in names.split(",") if names else ():
                if name in self.hierarchies:
                    # v1 calls this controller blkio, v2 io.
                    found["io" if name == "blkio" else name] = self.hierarchies[name] / path.lstrip("/")
        return found

    def of_container(self, pid: int) -> dict[str, Path]:
        """The container's own directory by controller: where its process is, or the scope above that, where crun is under systemd."""
        return {controller: _scope_of(directory) for controller, directory in self.of(pid).items()}

    def of_pod(self, pid: int) -> dict[str, Path]:
        """The directory of the pod by controller: the one above its container's."""
        return {controller: directory.parent for controller, directory in self.of_container(pid).items()}

    def read(self, directories: dict[str, Path], field: str) -> int | str:
        """Value of `field` in a container's directories (see of)."""
        if self.version == 1:
            controller, name = _V1_FILES[field]
            text = (directories[controller] / name).read_text().strip()
            if field in ("cpu.cpus", "cpu.mems"):
                return text
            return UNLIMITED if int(text) >= _V1_NO_LIMIT else int(text)
        text = (directories[""] / _V2_FILES.get(field, field)).read_text().strip()
        if field in ("cpu.cpus", "cpu.mems"):
            return text
        if field == "cpu.period":
            return int(text.split()[1])
        first = text.split()[0]
        return UNLIMITED if first == "max" else int(first)

    def has_shares(self, directories: dict[str, Path], shares: int) -> bool:
        """Whether a container has these CPU shares, in the form that its cgroup version keeps."""
        if self.version == 1:
            return self.read(directories, "cpu.shares") == shares
        return self.read(directories, "cpu.weight") in shares_to_weights(shares)

    def _make_v1(self, root: Path, path: str) -> None:
        directory = root
        for part in path.strip("/").split("/"):
            parent, directory = directory, directory / part
            # Another run may remove an empty parent between two steps; exist_ok and parents make that harmless.
            directory.mkdir(parents=True, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                file = directory / name
                if file.exists() and not file.read_text().strip():
                    file.write_text((parent / name).read_text())

    def _make_v2(self, path: str) -> None:
        directory = self._unified
        for part in path.strip("/").split("/"):
            offered = (directory / "cgroup.controllers").read_text().split()
            wanted = [name for name in ("cpuset", "cpu", "io", "memory", "hugetlb", "pids") if name in offered]
            (directory / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
            directory = directory / part
            directory.mkdir(exist_ok=True)


def shares_to_weights(shares: int) -> tuple[int, int]:
    """cpu.weight for CPU shares: by the linear formula of runc until 1.3.1, and by the one since (opencontainers/cgroups)."""
    linear = 1 + (shares - 2) * 9999 // 262142
    log = math.log2(shares)
    curved = math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
    return linear, max(1, min(10000, curved))


def _scope_of(directory: Path) -> Path:
    inside = directory.name == "container" and directory.parent.suffix == ".scope"
    return directory.parent if inside else directory


def _properties(limits: Limits) -> list[str]:
    properties = ["CPUAccounting=yes"]
    if limits.shares:
        properties.append(f"CPUWeight={shares_to_weights(limits.shares)[0]}")
    if limits.quota_us:
        properties.append("CPUQuota=" + ("" if limits.quota_us == UNLIMITED else f"{limits.quota_us / 1000:g}%"))
    if limits.memory_bytes:
        properties.append("MemoryMax=" + ("infinity" if limits.memory_bytes == UNLIMITED else str(limits.memory_bytes)))
    return properties


def _systemctl(*arguments: str, check: bool = True) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")


def _rmdir(directory: Path) -> bool:
    """Remove a cgroup with what runc left below it; True when it is gone, False when processes are in it."""
    until = time.monotonic() + _BUSY_S
    while directory.exists():
        below = [Path(top) for top, _, _ in os.walk(directory, topdown=False)]
        if any(map(_has_processes, below)) or time.monotonic() > until:
            return False
        for one in below:
            with contextlib.suppress(OSError):
                one.rmdir()
        if directory.exists():
            time.sleep(0.01)
    return True


def _has_processes(directory: Path) -> bool:
    """Of a cgroup, which somebody else may remove at any moment; one that is gone has none."""
    try:
        return bool((directory / "cgroup.procs").read_text())
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV):
            raise
        return False
