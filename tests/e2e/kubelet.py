"""Drives CRI as kubelet does: the pod's cgroup first, then sandbox, containers, updates, and all of it away again."""

from __future__ import annotations

import contextlib
import itertools
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from tests.e2e import lab
from tests.e2e.cgroups import Cgroups, Limits
from tests.e2e.containerd import Containerd
from tests.e2e.cri import CRI

PERIOD_US = 100_000
CGROUPS = "cgroups"
"""File of the runtime's work directory: the pods' cgroups that were made, one per line."""
_OOM_SCORE_ADJ = {"Guaranteed": -997, "Burstable": 900, "BestEffort": 1000}
_numbers = itertools.count(1)


@dataclass(slots=True)
class Pod:
    """A sandbox that runs, with what it was made from."""

    name: str
    namespace: str
    uid: str
    qos: str
    cgroup: str
    config: Any
    sandbox_id: str
    containers: list[Container] = field(default_factory=list)


@dataclass(slots=True)
class Container:
    """A container that was created, with the resources kubelet last asked for."""

    id: str
    name: str
    pod: Pod
    resources: dict[str, Any]


class Kubelet:
    """One node's kubelet, as far as a runtime and its NRI plugins can tell."""

    def __init__(self, runtime: Containerd, cri: CRI | None = None) -> None:
        """`cri`: a connection of its own, else the runtime's."""
        self.runtime = runtime
        self.cri = cri or runtime.cri
        self.cgroups = Cgroups(systemd=runtime.systemd_cgroup)
        self.pods: list[Pod] = []

    # pods

    def run_pod(
        self,
        name: str = "",
        *,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        qos: str = "Burstable",
        cpu_request_m: int = 0,
        cpu_limit_m: int = 0,
        memory_limit: int = 0,
    ) -> Pod:
        """Run a hostNetwork pod; requests and limits are the pod's sums, in milli-CPUs and bytes, 0 for none."""
        name = name or f"pod-{next(_numbers)}"
        uid = str(uuid.uuid4())
        cgroup = self._pod_cgroup(qos, uid)
        # Remembered on disk, for a run that gets killed.
        with (self.runtime.work / CGROUPS).open("a") as file:
            file.write(f"{cgroup}\n")
        self.cgroups.make(cgroup, _pod_limits(cpu_request_m, cpu_limit_m, memory_limit))
        config = {
            "metadata": {"name": name, "namespace": namespace, "uid": uid, "attempt": 0},
            "labels": {**(labels or {}), **_pod_labels(name, namespace, uid)},
            "annotations": {
                **(annotations or {}),
                "kubernetes.io/config.seen": "2026-01-01T00:00:00.000000000Z",
                "kubernetes.io/config.source": "api",
            },
            "linux": {
                "cgroup_parent": cgroup.rpartition("/")[2] if self.cgroups.systemd else cgroup,
                "security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}},
                "resources": _resources(qos, cpu_request_m, cpu_limit_m, memory_limit, self.cgroups.version),
            },
        }
        pod = Pod(name, namespace, uid, qos, cgroup, config, "")
        # Known before it runs, so that its cgroup goes away even when the runtime refuses it.
        self.pods.append(pod)
        pod.sandbox_id = self.cri.call("RunPodSandbox", config=config).pod_sandbox_id
        return pod

    def remove_pod(self, pod: Pod) -> None:
        """Stop and remove a pod with its containers, then its cgroup."""
        if pod.sandbox_id:
            self.cri.call("StopPodSandbox", pod_sandbox_id=pod.sandbox_id)
            self.cri.call("RemovePodSandbox", pod_sandbox_id=pod.sandbox_id)
        self.cgroups.remove(pod.cgroup)
        self.pods.remove(pod)

    def sandbox(self, pod: Pod) -> dict[str, Path]:
        """Directories of the pod's pause container by controller."""
        status = self.cri.call("PodSandboxStatus", pod_sandbox_id=pod.sandbox_id, verbose=True)
        return self.cgroups.of(json.loads(status.info["info"])["pid"])

    def resize_pod(self, pod: Pod, *, cpu_request_m: int = 0, cpu_limit_m: int = 0, memory_limit: int = 0) -> None:
        """Write the pod's own cgroup, which kubelet widens before it widens a container."""
        self.cgroups.limit(pod.cgroup, _pod_limits(cpu_request_m, cpu_limit_m, memory_limit))

    def cleanup(self) -> None:
        """Remove every pod that is left; a runtime that is down or refuses does not keep the others."""
        for pod in list(self.pods):
            with contextlib.suppress(grpc.RpcError):
                self.remove_pod(pod)

    # containers

    def create_container(
        self,
        pod: Pod,
        name: str = "main",
        *,
        cpu_request_m: int = 0,
        cpu_limit_m: int = 0,
        memory_limit: int = 0,
        cpus: str = "",
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        mounts: Mapping[str, Path] | None = None,
        devices: Mapping[str, Path] | None = None,
    ) -> Container:
        """Create a container; `cpus` is what kubelet's static CPU manager would put into the request.

        mounts, devices   path in the container → the volume's on the node; devices may only be read
        """
        resources = _resources(pod.qos, cpu_request_m, cpu_limit_m, memory_limit, self.cgroups.version)
        if cpus:
            resources["cpuset_cpus"] = cpus
        config = {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": lab.IMAGE},
            "command": list(command),
            "mounts": [{"container_path": path, "host_path": str(own)} for path, own in (mounts or {}).items()],
            "devices": [
                {"container_path": path, "host_path": str(own), "permissions": "r"}
                for path, own in (devices or {}).items()
            ],
            "envs": [{"key": key, "value": value.encode()} for key, value in (env or {}).items()],
            "labels": {**_pod_labels(pod.name, pod.namespace, pod.uid), "io.kubernetes.container.name": name},
            "annotations": {
                "io.kubernetes.container.hash": "1d2c3b4a",
                "io.kubernetes.container.restartCount": "0",
                "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
                "io.kubernetes.container.terminationMessagePolicy": "File",
                "io.kubernetes.pod.terminationGracePeriod": "30",
            },
            "linux": {
                "resources": resources,
                "security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}},
            },
        }
        answer = self.cri.call(
            "CreateContainer", pod_sandbox_id=pod.sandbox_id, config=config, sandbox_config=pod.config
        )
        container = Container(answer.container_id, name, pod, resources)
        pod.containers.append(container)
        return container

    def start(self, container: Container) -> None:
        """Start a created container, and wait until its own program runs.

        The runtime answers when runc's init has been told to go on; the program is executed a moment later.
        """
        self.cri.call("StartContainer", container_id=container.id)
        comm = Path(f"/proc/{self.pid(container)}/comm")
        lab.eventually(lambda: not comm.read_text().startswith("runc"), f"{container.name} executes its program")

    def run_container(self, pod: Pod, name: str = "main", **options: Any) -> Container:
        """Create and start; options as for create_container."""
        container = self.create_container(pod, name, **options)
        self.start(container)
        return container

    def exec(self, container: Container, *command: str) -> str:
        """Standard output of a command in the container; a failing one is an AssertionError."""
        done = self.cri.call("ExecSync", container_id=container.id, cmd=list(command), timeout=10)
        assert done.exit_code == 0, f"{command} in {container.name}: exit {done.exit_code}: {done.stderr!r}"
        return str(done.stdout.decode())

    def resize(
        self, container: Container, *, cpu_request_m: int = 0, cpu_limit_m: int = 0, memory_limit: int = 0
    ) -> None:
        """In-place resize: kubelet sends the new CPU and memory values; 0 is not asked."""
        asked = {
            "cpu_shares": _shares(cpu_request_m) if cpu_request_m else 0,
            "cpu_quota": cpu_limit_m * PERIOD_US // 1000,
            "cpu_period": PERIOD_US if cpu_request_m or cpu_limit_m else 0,
            "memory_limit_in_bytes": memory_limit,
        }
        self._update(container, asked)

    def rewrite_cpuset(self, container: Container, cpus: str) -> None:
        """What kubelet's static CPU manager does right after start and every 10 s: only a cpuset."""
        self._update(container, {"cpuset_cpus": cpus})

    def stop(self, container: Container, grace_s: int = 0) -> None:
        """Stop with this grace; 0 kills at once."""
        self.cri.call("StopContainer", container_id=container.id, timeout=grace_s)

    def remove(self, container: Container) -> None:
        """Remove a stopped container."""
        self.cri.call("RemoveContainer", container_id=container.id)
        container.pod.containers.remove(container)

    # what a container got

    def pid(self, container: Container) -> int:
        """Process id of the container's first process. It must have been started."""
        status = self.cri.call("ContainerStatus", container_id=container.id, verbose=True)
        return int(json.loads(status.info["info"])["pid"])

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

    def environment(self, container: Container) -> dict[str, str]:
        """Environment of the container's first process, from /proc."""
        text = Path(f"/proc/{self.pid(container)}/environ").read_bytes().decode()
        return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)

    def _update(self, container: Container, asked: dict[str, Any]) -> None:
        container.resources.update({key: value for key, value in asked.items() if value})
        self.cri.call("UpdateContainerResources", container_id=container.id, linux=asked)

    def _pod_cgroup(self, qos: str, uid: str) -> str:
        level = "" if qos == "Guaranteed" else qos.lower()
        if not self.cgroups.systemd:
            return "/".join(part for part in ("/kubepods", level, f"pod{uid}") if part)
        escaped = f"pod{uid.replace('-', '_')}"
        slices = ["kubepods"] + ([f"kubepods-{level}"] if level else [])
        return "".join(f"/{name}.slice" for name in [*slices, f"{slices[-1]}-{escaped}"])


def sweep_cgroups(work: Path) -> None:
    """Remove the pods' cgroups that a run in this work directory left; what is gone already is fine."""
    cgroups = Cgroups(systemd=lab.SYSTEMD)
    listed = work / CGROUPS
    for cgroup in listed.read_text().splitlines() if listed.exists() else ():
        cgroups.remove(cgroup)


def _pod_labels(name: str, namespace: str, uid: str) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.uid": uid,
    }


def _shares(milli: int) -> int:
    return min(max(milli * 1024 // 1000, 2), 262144)


def _pod_limits(cpu_request_m: int, cpu_limit_m: int, memory_limit: int) -> Limits:
    return Limits(_shares(cpu_request_m), cpu_limit_m * PERIOD_US // 1000, memory_limit)


def _resources(
    qos: str, cpu_request_m: int, cpu_limit_m: int, memory_limit: int, cgroup_version: int
) -> dict[str, Any]:
    sizes = sorted(int(entry.name[len("hugepages-") : -2]) for entry in Path("/sys/kernel/mm/hugepages").glob("*kB"))
    return {
        "cpu_period": PERIOD_US,
        "cpu_quota": cpu_limit_m * PERIOD_US // 1000,
        "cpu_shares": _shares(cpu_request_m),
        "memory_limit_in_bytes": memory_limit,
        "oom_score_adj": _OOM_SCORE_ADJ[qos],
        "hugepage_limits": [
            {"page_size": f"{size >> 20}GB" if size >> 20 else f"{size >> 10}MB", "limit": 0} for size in sizes
        ],
        "unified": {"memory.oom.group": "1"} if cgroup_version == 2 else {},
    }
