"""Each controller that writes files: killed while it acts and while it takes back, then turned off, and ended. Nothing of it stays.

The daemon is a process, killed by SIGKILL. The next one has the same state directory. Files stand for the kernel, the embedded runtime for
containerd; on real cgroups tests/e2e does the same for CPU suppress and quota burst.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.daemon.kubelet_node import KubeletNode
from tests.daemon.running import rewrite
from tests.e2e.daemon import Daemon
from tests.support.waiting import PATIENCE_S, eventually

PODS = 12
"""of each class: enough that a kill comes between two files"""
QUOTA_US = 100_000
USED_BYTES = 256 << 20
"""of the limit, 400 MiB"""
OFF = "{}\n"
SUPPRESS = "resource-threshold-config: {clusterStrategy: {enable: true, cpuSuppressThresholdPercent: 50, cpuSuppressPolicy: %s}}\n"
BURST = "cpu-burst-config: {clusterStrategy: {policy: cfsQuotaBurstOnly}}\n"
STAIRCASE = "koordnri-config: {clusterStrategy: {controllers: {memoryHigh: {mode: enforce, availablePercent: 50}}}}\n"
CHANGING = ("cpu.stat", "memory.current", "memory.stat")


class Case(NamedTuple):
    """A controller, and how the paths of all files end that it may change."""

    policy: str
    file: str


CASES = {
    "cpuset": Case(SUPPRESS % "cpuset", "kubepods/besteffort/cpuset.cpus"),
    "cfsQuota": Case(SUPPRESS % "cfsQuota", "cpu.max"),
    "quotaBurst": Case(BURST, "cpu.max"),
    "memoryHigh": Case(STAIRCASE, "memory.high"),
}


class Node:
    """An idle node that is short of memory, and throttles its services while somebody looks at it."""

    def __init__(self, directory: Path) -> None:
        self.kubelet = KubeletNode(directory, OFF)
        self.kubelet.runtime.start()
        proc = self.kubelet.root / "proc"
        proc.joinpath("stat").write_text("cpu  1 0 0 0 0 0 0 0 0 0\n")
        proc.joinpath("meminfo").write_text("MemTotal: 16318480 kB\nMemAvailable: 1631848 kB\n")
        self._write("kubepods/besteffort", "cpuset.cpus", "0-3")
        for number in range(PODS):
            self.kubelet.birth(number, "BE", QUOTA_US)
            batch = f"{self.kubelet.pod_directory(number)}/c{number}"
            self._write(batch, "memory.current", str(USED_BYTES))
            self._write(batch, "memory.stat", "inactive_file 0")
            self.kubelet.birth(PODS + number, "LS", QUOTA_US)
        self.periods = 0
        self.before = self.files()
        self.daemon = Daemon(self.kubelet.socket, directory, arguments=[f"--host-root={self.kubelet.root}"])

    def files(self) -> dict[str, str]:
        """What the cgroups' files hold, but for those that only the kernel writes."""
        self.throttle()
        return {path: text for path, text in self.kubelet.files().items() if not path.endswith(CHANGING)}

    def throttle(self) -> None:
        """One period more of each service."""
        self.periods += 1
        for number in range(PODS, 2 * PODS):
            text = (
                f"usage_usec 0\nnr_periods {self.periods}\nnr_throttled {self.periods}\nthrottled_usec {self.periods}"
            )
            self._write(f"{self.kubelet.pod_directory(number)}/c{number}", "cpu.stat", text)

    def changed(self) -> set[str]:
        """Files that hold something else than before the first daemon."""
        return {path for path, text in self.files().items() if text != self.before[path]}

    def set_policy(self, policy: str) -> None:
        rewrite(self.daemon.policy_file, policy)

    @property
    def originals(self) -> dict[str, object]:
        """What the daemon saved of the files before it wrote them."""
        path = self.daemon.state_dir / "originals.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def begins(self) -> bool:
        """Whether the controller acts: what the first files hold is saved, and perhaps no file is written."""
        self.throttle()
        return bool(self.originals)

    def wait_acted(self) -> set[str]:
        """The files that are changed now, perhaps not all that will be."""
        return eventually(self.changed, "the controller to act")

    def wait_no_trace(self) -> None:
        def none() -> bool:
            changed = self.changed()
            assert changed == set()
            return True

        eventually(none, "no trace")

    def _write(self, cgroup: str, name: str, text: str) -> None:
        """In one piece, for the daemon may read at any time; the text is never shorter than before."""
        fd = os.open(self.kubelet.cgroups / cgroup / name, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, f"{text}\n".encode(), 0)
        os.close(fd)

    def kill(self) -> None:
        """SIGKILL, but not while a file is half written: the kernel takes a write as a whole, a plain file is written and then cut."""
        process = Path(f"/proc/{self.daemon.pid}")
        while True:
            os.kill(self.daemon.pid, signal.SIGSTOP)
            eventually(lambda: all(_is_stopped(task) for task in process.glob("task/*")), "all threads to stop")
            if not any(map(self._writes, process.glob("fd/*"))):
                break
            os.kill(self.daemon.pid, signal.SIGCONT)
        self.daemon.kill()

    def _writes(self, descriptor: Path) -> bool:
        """Whether a descriptor of the daemon is open to write a cgroup's file."""
        info = dict(
            line.split(":", 1) for line in (descriptor.parents[1] / "fdinfo" / descriptor.name).read_text().splitlines()
        )
        in_tree = os.readlink(descriptor).startswith(str(self.kubelet.cgroups))
        return in_tree and int(info["flags"], 8) & os.O_ACCMODE != os.O_RDONLY

    def close(self) -> None:
        self.daemon.stop()
        self.kubelet.runtime.close()


def _is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(") ")[2].startswith("T")


def at_once(check: Callable[[], object], what: str) -> None:
    """As `eventually`, but without the pauses that grow, to kill between two files."""
    end_s = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < end_s, what
        time.sleep(0.001)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    it = Node(tmp_path)
    yield it
    it.close()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_killed_turned_off_or_ended_it_leaves_no_trace(node: Node, case: Case) -> None:
    node.set_policy(case.policy)
    node.daemon.start(wait=False)
    at_once(node.begins, "the controller to act")
    node.kill()
    assert all(path.endswith(case.file) for path in node.changed()), node.changed()

    node.daemon.start(wait=False)
    held = node.wait_acted()
    node.kill()
    assert all(path.endswith(case.file) for path in held), held

    node.set_policy(OFF)
    node.daemon.start(wait=False)
    sample = node.kubelet.cgroups / min(held)
    at_once(lambda: sample.read_text().strip() == node.before[min(held)], "the next start to take something back")
    node.kill()
    node.daemon.start()
    node.wait_no_trace()

    node.set_policy(case.policy)
    node.wait_acted()
    node.set_policy(OFF)
    node.wait_no_trace()

    node.set_policy(case.policy)
    node.wait_acted()
    assert node.daemon.terminate() == 0
    assert node.changed() == set()
    assert node.originals == {}
