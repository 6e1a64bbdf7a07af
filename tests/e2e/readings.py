"""What pods and containers are and have: asked of the runtime, read from cgroup files and /proc."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koordnri.model import CPUSet
from tests.e2e import lab
from tests.e2e.cgroups import Cgroups
from tests.e2e.containerd import Containerd
from tests.e2e.cri import CRI
from tests.e2e.cri_requests import Asked


@dataclass(slots=True)
class Pod:
    """A pod, with what it was made from."""

    name: str
    namespace: str
    uid: str
    qos: str
    cgroup: str
    config: Any
    sandbox_id: str
    containers: list[Container] = field(default_factory=list)
    """that the runtime has, ended ones included"""
    old_sandboxes: list[str] = field(default_factory=list)
    """ids of sandboxes that were stopped and that the runtime still has"""


@dataclass(slots=True)
class Container:
    """A container that was created, with what kubelet last asked for it."""

    id: str
    name: str
    pod: Pod
    asked: Asked
    options: dict[str, Any]
    """that it was created with, but for `asked`"""
    sandbox_id: str = ""
    attempt: int = 0
    """how often it was created before"""


class Readings:
    """One node as its runtime and its kernel show it."""

    def __init__(self, runtime: Containerd, cri: CRI | None = None) -> None:
        """`cri`: a connection of its own, else the runtime's."""
        self.runtime = runtime
        self.cri = cri or runtime.cri
        self.cgroups = Cgroups(systemd=runtime.systemd_cgroup)

    def sandbox_pid(self, pod: Pod) -> int:
        """Process id of the pod's pause container."""
        status = self.cri.call("PodSandboxStatus", pod_sandbox_id=pod.sandbox_id, verbose=True)
        return int(json.loads(status.info["info"])["pid"])

    def sandbox(self, pod: Pod) -> dict[str, Path]:
        """Directories of the pod's pause container by controller."""
        return self.cgroups.of(self.sandbox_pid(pod))

    def pid(self, container: Container) -> int:
        """Process id of the container's first process. It must have been started."""
        status = self.cri.call("ContainerStatus", container_id=container.id, verbose=True)
        return int(json.loads(status.info["info"])["pid"])

    def oci_spec(self, container: Container) -> dict[str, Any]:
        """What the runtime gave to the OCI runtime: the container's config.json."""
        if self.runtime.name == lab.CRIO:
            bundle = self.runtime.work / "state/vfs-containers" / container.id / "userdata"
        else:
            bundle = self.runtime.work / "state/io.containerd.runtime.v2.task/k8s.io" / container.id
        spec: dict[str, Any] = json.loads((bundle / "config.json").read_text())
        return spec

    def running(self, container: Container) -> bool:
        """Whether the runtime says that the container runs."""
        status = self.cri.call("ContainerStatus", container_id=container.id).status
        return bool(status.state == self.cri.messages.CONTAINER_RUNNING)

    def read(self, container: Container, name: str) -> int | str:
        """A cgroup value of the container, see cgroups.py for names and meaning."""
        return self.cgroups.read(self.cgroups.of(self.pid(container)), name)

    def reads(self, container: Container, *names: str) -> dict[str, int | str]:
        """Several cgroup values at once."""
        directories = self.cgroups.of(self.pid(container))
        return {name: self.cgroups.read(directories, name) for name in names}

    def file(self, container: Container, name: str) -> str | None:
        """Text of the container's cgroup file `name`, None when this kernel and cgroup version have none."""
        directory = self.cgroups.of(self.pid(container))["" if self.cgroups.version == 2 else name.partition(".")[0]]
        return (directory / name).read_text().strip() if (directory / name).exists() else None

    def has_shares(self, container: Container, shares: int) -> bool:
        """Whether the container's cgroup has these CPU shares (or one of their weights on v2)."""
        return self.cgroups.has_shares(self.cgroups.of(self.pid(container)), shares)

    def runs_on(self, container: Container) -> CPUSet:
        """The CPUs that the kernel lets the container's first process run on, whatever is written where."""
        status = Path(f"/proc/{self.pid(container)}/status").read_text()
        return CPUSet.parse(status.partition("Cpus_allowed_list:")[2].split()[0])

    def environment(self, container: Container) -> dict[str, str]:
        """Environment of the container's first process, from /proc."""
        text = Path(f"/proc/{self.pid(container)}/environ").read_bytes().decode()
        return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
