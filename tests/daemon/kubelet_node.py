"""A node for the real daemon: an embedded runtime, cgroups that are plain files, and who writes them besides koordnri: kubelet and runc."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from koordnri.model.convert import shares_to_weight
from koordnri.model.qos import QOS_LABEL
from koordnri.model.topology import Topology
from koordnri.runtime import CRIError, Runtime
from koordnri.wire import api_pb2 as api
from tests.daemon.running import Running, rewrite
from tests.host.trees import CPU_FILES, CPUSET_FILES, MEMORY_FILES, HostTree
from tests.support import messages

PERIOD_US = 100_000
CLASS_DIRECTORIES = {"LS": "kubepods/burstable", "BE": "kubepods/besteffort"}
_FILES = (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES)
_KERNELS = {
    "cpu.max": f"max {PERIOD_US}",
    "cpu.max.burst": "0",
    "cpu.idle": "0",
    "cpu.weight": "100",
    "cpu.weight.nice": "0",
    "memory.max": "max",
    "memory.min": "0",
    "memory.low": "0",
    "memory.high": "max",
    "memory.oom.group": "0",
    "memory.current": "4096",
    "cpuset.cpus": "",
    "cpuset.mems": "",
    "cpuset.cpus.effective": "0-3",
}
"""What a new cgroup has."""


class KubeletNode:
    """Pods with one container each, by number. `directory` is the node's own."""

    def __init__(self, directory: Path, policy: str) -> None:
        self.directory = directory
        self.root, self.state, self.socket = directory / "host", directory / "state", directory / "nri.sock"
        self.cgroups = self.root / "sys/fs/cgroup"
        self._policy = directory / "policy.yaml"
        tree = HostTree(self.root).cpus(Topology.regular(1, 1, 4, 1)).meminfo(16_318_480)
        tree.cgroup_v2(cgroups={"kubepods": _FILES, **dict.fromkeys(CLASS_DIRECTORIES.values(), _FILES)})
        for cgroup in ("kubepods", *CLASS_DIRECTORIES.values()):
            self._make(cgroup, {})
        self._policy.write_text(policy)
        self.runtime = Runtime(self.socket)
        self.running: Running
        self._class_of: dict[int, str] = {}

    def start(self) -> None:
        """The runtime and the daemon, until it is registered."""
        self.runtime.start()
        self.start_daemon()
        self.runtime.wait_for_plugin(30)

    def start_daemon(self) -> None:
        """Only the daemon."""
        self.running = Running(
            self.directory, node=None, host_root=self.root, node_name="n", policy_file=self._policy, listen=None
        )

    def close(self) -> None:
        """Both end."""
        self.running.close()
        self.runtime.close()

    # -- what happens on a node ---------------------------------------------------------------------------------------

    def set_policy(self, policy: str) -> None:
        """Another policy."""
        rewrite(self._policy, policy)

    def birth(self, number: int, qos: str, quota_us: int) -> None:
        """A pod with one container, which starts."""
        self._class_of[number] = qos
        cpu = {"cpu.max": f"{quota_us} {PERIOD_US}", "memory.max": str(quota_us * 4096)}
        self._make(self.pod_directory(number), cpu)
        self.runtime.run_pod_sandbox(
            messages.pod(
                f"p{number}", parent=f"/{self.pod_directory(number)}", uid=f"uid-{number}", labels={QOS_LABEL: qos}
            )
        )
        container = messages.container(f"c{number}", name="main")
        container.linux.resources.CopyFrom(_asked(quota_us))
        spec = self.runtime.create_container(f"p{number}", container).spec
        self._make(self._container(number), _files_of(spec))
        self.runtime.start_container(f"c{number}")

    def resize(self, number: int, quota_us: int) -> None:
        """Kubelet sets the pod's limits, then the runtime the container's."""
        cpu = {"cpu.max": f"{quota_us} {PERIOD_US}", "memory.max": str(quota_us * 4096)}
        self._write(self.pod_directory(number), cpu)
        with contextlib.suppress(CRIError):
            spec = self.runtime.update_container(f"c{number}", _asked(quota_us)).spec
            self._write(self._container(number), _files_of(spec))

    def end(self, number: int) -> None:
        """The container ends, and kubelet removes the pod."""
        self.runtime.stop_container(f"c{number}")
        shutil.rmtree(self.cgroups / self._container(number), ignore_errors=True)
        self.runtime.remove_container(f"c{number}")
        self.runtime.stop_pod_sandbox(f"p{number}")
        shutil.rmtree(self.cgroups / self.pod_directory(number), ignore_errors=True)
        self.runtime.remove_pod_sandbox(f"p{number}")
        del self._class_of[number]

    # -- what is there ------------------------------------------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """Every file of the pods' cgroups and those above → its text."""
        return {
            str(file.relative_to(self.cgroups)): file.read_text().strip()
            for file in sorted((self.cgroups / "kubepods").rglob("*"))
            if file.is_file()
        }

    def pod_directory(self, number: int) -> str:
        """Below the cgroup root."""
        return f"{CLASS_DIRECTORIES[self._class_of[number]]}/poduid-{number}"

    def _container(self, number: int) -> str:
        return f"{self.pod_directory(number)}/c{number}"

    def _make(self, cgroup: str, values: dict[str, str]) -> None:
        (self.cgroups / cgroup).mkdir(parents=True, exist_ok=True)
        self._write(cgroup, {**_KERNELS, **values, "cgroup.procs": ""}, new=True)

    def _write(self, cgroup: str, values: dict[str, str], new: bool = False) -> None:
        for name, text in values.items():
            flags = os.O_WRONLY | os.O_TRUNC | (os.O_CREAT if new else 0)
            with contextlib.suppress(FileNotFoundError):  # it has vanished
                fd = os.open(self.cgroups / cgroup / name, flags, 0o644)
                os.write(fd, f"{text}\n".encode())
                os.close(fd)


def _asked(quota_us: int) -> api.LinuxResources:
    resources = api.LinuxResources()
    cpu = resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = 512, quota_us, PERIOD_US
    resources.memory.limit.value = quota_us * 4096
    return resources


def _files_of(spec: Any) -> dict[str, str]:
    """What runc writes of a container's resources."""
    cpu, memory = spec.linux.resources.cpu, spec.linux.resources.memory
    files = {
        "cpu.max": f"{cpu.quota.value if cpu.quota.value > 0 else 'max'} {cpu.period.value or PERIOD_US}",
        "cpu.weight": str(shares_to_weight(cpu.shares.value)),
        "memory.max": str(memory.limit.value) if memory.limit.value > 0 else "max",
    }
    if cpu.cpus:
        files["cpuset.cpus"] = cpu.cpus
    return {**files, **dict(spec.linux.resources.unified)}
