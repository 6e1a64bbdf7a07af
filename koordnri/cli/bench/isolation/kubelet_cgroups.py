"""The cgroups that kubelet makes above the containers: of all pods, of a QoS class, of a pod. With both drivers, on v1 and v2."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from koordnri.cli.bench.figures import BenchError
from koordnri.host.cgroup.paths import SYSTEMD, class_directory, pod_directory
from koordnri.model import UNLIMITED, KubeQoS
from koordnri.model.convert import shares_to_weight

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
REMOVE_S = 2.0
"""The kernel reports a cgroup busy for a moment after its last process has ended."""


class Limits(NamedTuple):
    """What kubelet writes into the cgroup of a pod; 0: leaves alone, -1: unlimited memory."""

    shares: int = 0
    quota_us: int = 0
    """per 100 ms"""
    memory_bytes: int = 0


_V1_FILES = {
    "shares": ("cpu", "cpu.shares"),
    "quota_us": ("cpu", "cpu.cfs_quota_us"),
    "memory_bytes": ("memory", "memory.limit_in_bytes"),
}
_V2_FILES = {"shares": "cpu.weight", "quota_us": "cpu.max", "memory_bytes": "memory.max"}


class KubeletCgroups:
    """This machine's, as kubelet would have them."""

    def __init__(self, driver: str, root: Path = ROOT) -> None:
        """`driver`: `systemd` or `cgroupfs`."""
        self.driver = driver
        self._root = root
        self.version = 2 if (root / "cgroup.controllers").exists() else 1
        mounts = [root] if self.version == 2 else [p for p in root.iterdir() if (p / "cgroup.procs").exists()]
        self._mounts = [mount for mount in mounts if not mount.is_symlink()]

    def parent_of(self, qos: KubeQoS, uid: str) -> str:
        """The `cgroup_parent` of a pod's sandbox."""
        if self.driver == SYSTEMD:
            above = class_directory(qos, self.driver).rpartition("/")[2].removesuffix(".slice")
            return f"{above}-pod{uid.replace('-', '_')}.slice"
        return f"/{class_directory(qos, self.driver)}/pod{uid}"

    def make(self, cgroup_parent: str, limits: Limits) -> None:
        """Make a pod's cgroup. Raises BenchError."""
        directory = pod_directory(cgroup_parent)
        if self.driver == SYSTEMD:
            _systemctl("start", cgroup_parent)
        else:
            for mount in self._mounts:
                self._make(mount, directory)
        self.limit(directory, limits)

    def limit_class(self, qos: KubeQoS, shares: int) -> None:
        """Set a class's weight, as kubelet does. Its cgroup must be there. Guaranteed pods have no class of their own."""
        if qos is not KubeQoS.GUARANTEED:
            self.limit(class_directory(qos, self.driver), Limits(shares))

    def limit(self, directory: str, limits: Limits) -> None:
        """Set the limits of a pod's or a class's cgroup."""
        if self.driver == SYSTEMD:
            slice_name = directory.rpartition("/")[2]
            if properties := list(_properties(limits, self.version)):
                _systemctl("set-property", "--runtime", slice_name, *properties)
            return
        for field, value in limits._asdict().items():
            if not value:
                continue
            controller, file = _V1_FILES[field]
            text = str(value)
            if self.version == 2:
                controller, file = "", _V2_FILES[field]
                if field == "shares":
                    text = str(shares_to_weight(value))
                elif value == UNLIMITED:
                    text = "max"
            (self._root / controller / directory / file).write_text(text)

    def offered(self) -> list[str]:
        """The controllers of cgroup v2; none on v1."""
        return (self._root / "cgroup.controllers").read_text().split() if self.version == 2 else []

    def kernel_has(self, file: str) -> bool:
        """Whether cgroups below the root of cgroup v2 have a file, which the kernel's configuration decides.

        It switches the file's controller on below the root, as the runtime does for its first container.
        """
        controller = file.partition(".")[0]
        if controller not in self.offered():
            return False
        (self._root / "cgroup.subtree_control").write_text(f"+{controller}")
        # Without systemd there may be no other cgroup yet.
        probe = self._root / "koordnri-bench"
        probe.mkdir(exist_ok=True)
        try:
            return any(self._root.glob(f"*/{file}"))
        finally:
            _remove(probe)

    def class_lines(self, qos: KubeQoS, files: Iterable[str]) -> dict[str, list[str]]:
        """File of a class's cgroup on v2 → its lines."""
        directory = self._root / class_directory(qos, self.driver)
        return {file: (directory / file).read_text().splitlines() for file in files}

    def quota_us(self, directory: str) -> int:
        """CPU quota of the cgroup of a pod or class, µs per 100 ms; -1: none."""
        controller, file = ("", _V2_FILES["quota_us"]) if self.version == 2 else _V1_FILES["quota_us"]
        text = (self._root / controller / directory / file).read_text().split()[0]
        return UNLIMITED if text == "max" else int(text)

    def remove(self, cgroup_parent: str) -> None:
        """Remove a pod's cgroup, and those above it that are empty then."""
        if self.driver == SYSTEMD:
            _systemctl("stop", cgroup_parent, check=False)
            return
        directory = pod_directory(cgroup_parent)
        for mount in self._mounts:
            _remove(mount / directory)
            with contextlib.suppress(OSError):
                for parent in list(Path(directory).parents)[:-1]:
                    (mount / parent).rmdir()

    def _make(self, mount: Path, path: str) -> None:
        directory = mount
        for name in path.split("/"):
            if self.version == 2:
                offered = (directory / "cgroup.controllers").read_text().split()
                wanted = " ".join(f"+{one}" for one in _CONTROLLERS if one in offered)
                (directory / "cgroup.subtree_control").write_text(wanted)
            parent, directory = directory, directory / name
            directory.mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems") if self.version == 1 else ():
                # On v1 a cpuset begins empty, and nothing can run in it.
                if (directory / file).exists() and not (directory / file).read_text().strip():
                    (directory / file).write_text((parent / file).read_text())


def _remove(directory: Path) -> None:
    until = time.monotonic() + REMOVE_S
    while directory.exists():
        with contextlib.suppress(OSError):
            directory.rmdir()
            return
        if time.monotonic() > until:
            return
        time.sleep(0.02)


def _properties(limits: Limits, version: int) -> Iterator[str]:
    if limits.shares:
        weight = f"CPUWeight={shares_to_weight(limits.shares)}"
        yield weight if version == 2 else f"CPUShares={limits.shares}"
    if limits.quota_us:
        yield f"CPUQuota={limits.quota_us / 1000:g}%"
    if limits.memory_bytes:
        limit = "infinity" if limits.memory_bytes == UNLIMITED else limits.memory_bytes
        yield f"MemoryMax={limit}" if version == 2 else f"MemoryLimit={limit}"


def _systemctl(*arguments: str, check: bool = True) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if check and done.returncode != 0:
        raise BenchError(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")
