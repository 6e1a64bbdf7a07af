"""The real daemon with its page, on a described node of any size, against the embedded runtime, in this process."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koordnri.cli.node_file import load_node
from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.events import Events
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.wiring import Given
from koordnri.model import Pod
from koordnri.model.qos import QOS_LABEL
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
"""What a tenant may write into an annotation, and what must stay text."""
POLICY = "resource-qos-config: {clusterStrategy: {lsClass: {memoryQOS: {enable: true, throttlingPercent: 80}}}}\n"
BURST = "koordinator.sh/cpuBurst"


class Served:
    """A daemon that is registered with a runtime and serves the page."""

    def __init__(self, daemon: Daemon, runtime: Runtime, policy: Path) -> None:
        self.daemon = daemon
        self.runtime = runtime
        self.policy = policy
        self._count = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.daemon.page_port}/"

    def request(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """The answer, of which everything has been read: see `body`."""
        assert self.daemon.page_port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.page_port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            answer.body = answer.read()  # type: ignore[attr-defined]
            return answer
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """The answer of a question. It must be one."""
        answer = self.request(path)
        assert answer.status == 200, answer.body  # type: ignore[attr-defined]
        return json.loads(answer.body)  # type: ignore[attr-defined]

    def run_pod(self, name: str, qos: str = "LS", cpus: int = 1, containers: int = 1, burst: str = "") -> None:
        """A pod whose containers run. `cpus`: request and limit of each; LSR and LSE get so many alone. `burst`: an annotation."""
        self.runtime.run_pod_sandbox(
            api.PodSandbox(
                id=name,
                name=name,
                uid=f"uid-{name}",
                namespace="shop",
                labels={QOS_LABEL: qos},
                annotations={BURST: burst} if burst else {},
                linux=api.LinuxPodSandbox(cgroup_parent=f"/kubepods/burstable/pod{name}"),
            )
        )
        for index in range(containers):
            self._count += 1
            one = f"c{self._count}"
            message = api.Container(id=one, name=f"main-{index}", pod_sandbox_id=name)
            cpu = message.linux.resources.cpu
            cpu.shares.value, cpu.quota.value, cpu.period.value = 1024 * cpus, 100_000 * cpus, 100_000
            message.linux.resources.memory.limit.value = 1 << 30
            self.runtime.create_container(name, message)
            self.runtime.start_container(one)

    def stop_pod(self, name: str) -> None:
        self.runtime.stop_pod_sandbox(name)
        self.runtime.remove_pod_sandbox(name)


class _ExclusiveCPUs(ExclusiveCPUs):
    """No container really runs on the described node, so no CPUs have to be cleared before a container starts."""

    def gave(self, pod: Pod, container_id: str) -> None:
        """See `session.exclusive_cpus`."""


def _exclusive_cpus(daemon: Daemon) -> ExclusiveCPUs:
    parts = daemon.parts
    return _ExclusiveCPUs(
        parts.allocator, parts.ledger, parts.requests, parts.present, lambda pod_id: None, Events(), parts.log
    )


@contextlib.contextmanager
def served(directory: Path, sockets: int = 1, numa: int = 2, cores: int = 2, name: str = "node-1") -> Iterator[Served]:
    """Starts both and waits until the daemon is synchronized; stops both at the end. Each core has two CPUs."""
    policy = directory / "policy.yaml"
    policy.write_text(POLICY)
    topology = f"{{sockets: {sockets}, numaPerSocket: {numa}, coresPerNuma: {cores}, threadsPerCore: 2}}"
    node = load_node(
        f"name: {name}\nmemory: 64Gi\ntopology: {topology}\ncgroup: {{version: 2, driver: cgroupfs}}\n"
        'kubelet: {cpuManagerPolicy: none, reservedCPUs: "0"}\n'
    )
    config = Config(
        nri_socket=str(directory / "nri.sock"),
        policy_file=policy,
        state_dir=directory / "state",
        host_root=directory,
        listen=None,
        page=("127.0.0.1", 0),
    )
    log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    daemon = Daemon(config, Given(node), log_fd=log)
    daemon.parts.handler.cpus = _exclusive_cpus(daemon)
    thread = threading.Thread(target=daemon.run, name="daemon")
    interval = sys.getswitchinterval()
    with Runtime(directory / "nri.sock") as runtime:
        thread.start()
        try:
            runtime.wait_for_plugin()
            yield Served(daemon, runtime, policy)
        finally:
            daemon.stop()
            thread.join()
            os.close(log)
            # What `run` sets for the whole process.
            sys.setswitchinterval(interval)
            gc.unfreeze()
