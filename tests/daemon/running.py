"""A daemon that runs in a thread, and a host of plain files for it."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.model import NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import SOURCE_KEY
from koordnri.model.topology import Topology
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from tests.host.trees import CPU_FILES, CPUSET_FILES, MEMORY_FILES, HostTree
from tests.support import messages
from tests.support.waiting import PATIENCE_S, eventually

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 8, 1))
PINNED = {RESOURCE_STATUS.key: '{"cpuset": "2-3"}', SOURCE_KEY: "file"}
"""of a static pod, whose CPUs every policy believes"""
MIN_LIMIT = "resource-qos-config: {clusterStrategy: {beClass: {memoryQOS: {minLimitPercent: %s}}}}\n"
GOOD, BETTER, BAD = MIN_LIMIT % 20, MIN_LIMIT % 30, MIN_LIMIT % 250
MISTAKE = "resource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250"


class Running:
    """A daemon that runs in a thread, and what it says."""

    def __init__(self, directory: Path, **more: Any) -> None:
        options = {key: more.pop(key) for key in ("hooks", "specs", "listener") if key in more}
        node = more.pop("node", NODE)
        config = {
            "nri_socket": str(directory / "nri.sock"),
            "state_dir": directory / "state",
            "listen": ("127.0.0.1", 0),
        }
        self._log = directory / "log"
        self._fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.daemon = Daemon(Config(**{**config, **more}), Given(node, **options), log_fd=self._fd)
        self.code: int | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if self.daemon.config.listen is not None:
            eventually(lambda: self.daemon.port, "a port")

    def _run(self) -> None:
        try:
            self.code = self.daemon.run()
        except BaseException as error:  # noqa: BLE001  # asked for by the test
            self.failure = error

    def readiness(self) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.port}/readyz", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def wait_ready(self) -> None:
        eventually(lambda: self.readiness() == (200, "ok\n"), "ready")

    def wait_not_ready(self, *words: str) -> str:
        return self._wait_readiness(503, words)

    def wait_warned(self, *words: str) -> str:
        """Ready, with a warning."""
        return self._wait_readiness(200, ("warning:", *words))

    def _wait_readiness(self, wanted: int, words: tuple[str, ...]) -> str:
        last = (0, "")

        def reported() -> str:
            nonlocal last
            last = code, text = self.readiness()
            return text if code == wanted and all(word in text for word in words) else ""

        try:
            return str(eventually(reported, f"status {wanted}"))
        except AssertionError as error:
            raise AssertionError(f"{error}, because {words}; it says {last}") from None

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Lines of this event so far."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def wait_logged(self, event: str, count: int = 1) -> dict[str, Any]:
        lines = eventually(lambda: len(found := self.logged(event)) >= count and found, f"{count} lines {event}")
        return dict(lines[count - 1])

    def ended(self) -> int | None:
        """Waits for its end, of itself; the exit code."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "it does not end"
        return self.code

    def stop(self) -> int | None:
        """Stops it; the exit code."""
        self.daemon.stop()
        return self.ended()

    def close(self) -> None:
        self.stop()
        os.close(self._fd)


def rewrite(path: Path, text: str) -> None:
    """As an editor or kubelet does: the new file takes the old one's place at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def run_pod(runtime: Runtime, annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> None:
    parent = "/kubepods/burstable/poduid-1"
    runtime.run_pod_sandbox(
        messages.pod("p1", parent=parent, name="web", uid="uid-1", annotations=annotations, labels=labels)
    )


def create(runtime: Runtime, container_id: str = "c1", quota: int = 50_000) -> api.LinuxCPU:
    """A container with a limit of half a CPU; its CPU as it runs."""
    container = messages.container(container_id, name="main")
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = 512, quota, 100_000
    return runtime.create_container("p1", container).spec.linux.resources.cpu


POD_CGROUP = "kubepods/burstable/poduid-1"
CONTAINER_CGROUP = f"{POD_CGROUP}/c1"
HALVED = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'
"""A policy by which this node's CPUs count double, so that quotas are halved."""


class FakeHost:
    """A fake host whose cgroups are plain files. The runtime is embedded and writes none, so the test starts with kubelet's values."""

    def __init__(self, root: Path) -> None:
        self.tree = HostTree(root).cpus(Topology.regular(1, 1, 4, 1))
        self.tree.cgroup_v2(cgroups={"kubepods": (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES)})
        for cgroup in (POD_CGROUP, CONTAINER_CGROUP):
            self.set_quota(cgroup, 50_000)
            self.tree.write(f"sys/fs/cgroup/{cgroup}/memory.max", "max\n")

    def set_quota(self, cgroup: str, quota_us: int) -> None:
        self.tree.write(f"sys/fs/cgroup/{cgroup}/cpu.max", f"{quota_us} 100000\n")

    def quotas(self) -> tuple[str, ...]:
        """cpu.max of pod and container."""
        files = (self.tree.root / f"sys/fs/cgroup/{c}/cpu.max" for c in (POD_CGROUP, CONTAINER_CGROUP))
        return tuple(file.read_text().split()[0] for file in files)

    def wait_quotas(self, *quotas: str) -> None:
        eventually(lambda: self.quotas() == quotas, f"quotas {quotas}, not {self.quotas()}")
