"""Runs pods through CRI as kubelet does, each with one container that runs a program of `inside` by this machine's Python."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation import data_file, inside
from koordnri.cli.bench.isolation.cri import CRI
from koordnri.cli.bench.isolation.kubelet_cgroups import KubeletCgroups, Limits
from koordnri.cli.bench.isolation.plan import Design, PodPlan
from koordnri.host.cgroup.paths import class_directory, pod_directory
from koordnri.model import UNLIMITED, KubeQoS
from koordnri.model.convert import CFS_PERIOD_US, milli_to_shares

NAMESPACE = "koordnri-bench"
CONTAINER = "main"
THERE = "/koordnri-bench"
"""The directory of `Pods` as containers see it."""
_NAMESPACES = {"network": 2, "pid": 1, "ipc": 0}
_PYTHON_NEEDS = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", sys.base_prefix)


class RunningPod(NamedTuple):
    """A pod, and where its program leaves its files."""

    plan: PodPlan
    cgroup_parent: str
    sandbox_id: str
    ready: Path
    result: Path

    @property
    def name(self) -> str:
        """As koordnri's commands name it."""
        return f"{NAMESPACE}/{self.plan.name}"


class Pods:
    """Pods of one runtime."""

    def __init__(self, cri: CRI, cgroups: KubeletCgroups, image: str, directory: Path) -> None:
        """`directory` is shared with all containers."""
        self._cri = cri
        self._cgroups = cgroups
        self._image = image
        self._directory = directory
        self._all_pods = Limits()
        shutil.copy(inside.__file__, directory / "inside.py")

    @contextmanager
    def prepared(self, design: Design) -> Iterator[None]:
        """Within it the node has the files and limits of a design."""
        files = [self._directory / name for name in design.files]
        every = class_directory(KubeQoS.GUARANTEED, self._cgroups.driver)
        try:
            for file in files:
                data_file.write(file, design.files[file.name])
            self._all_pods = Limits(memory_bytes=design.pods_bytes)
            yield
        finally:
            if design.pods_bytes:
                # It is not there any more, or it is a slice whose properties systemd keeps.
                with contextlib.suppress(BenchError, OSError):
                    self._cgroups.limit(every, Limits(memory_bytes=UNLIMITED))
            self._all_pods = Limits()
            for file in files:
                file.unlink(missing_ok=True)

    @contextmanager
    def running(self, plans: list[PodPlan], seconds: float) -> Iterator[list[RunningPod]]:
        """Within it these pods run, and wait for the file `go`. Their programs work for `seconds`. Raises BenchError."""
        for left in self._directory.glob("*.json"):
            left.unlink()
        self.go.unlink(missing_ok=True)
        for file in self._directory.glob("*.data"):
            data_file.forget(file)
        with contextlib.ExitStack() as stack:
            pods = [stack.enter_context(self._running(plan, seconds)) for plan in plans]
            for qos in {plan.qos for plan in plans}:
                # kubelet gives Burstable what its pods request, and BestEffort the least.
                requested_m = sum(plan.cpu_request_m for plan in plans if plan.qos is qos)
                self._cgroups.limit_class(qos, milli_to_shares(requested_m))
            self._cgroups.limit(class_directory(KubeQoS.GUARANTEED, self._cgroups.driver), self._all_pods)
            yield pods

    def unproved_class(self, pod: RunningPod) -> list[str]:
        """What the cgroup of the pod's QoS class does not have yet, of what the arm is about."""
        found = self._cgroups.class_lines(pod.plan.qos, pod.plan.class_proof)
        quota_us = self.class_quota_us(pod)
        wrong = pod.plan.class_quota != (quota_us > 0)
        problems = [f"{pod.plan.qos}: cpu.quota: {quota_us} µs, which this arm is not about"] if wrong else []
        return problems + [
            f"{pod.plan.qos}: {file}: expected {wanted}, found {found[file]}"
            for file, wanted in pod.plan.class_proof.items()
            if not any(line.startswith(wanted) for line in found[file])
        ]

    def class_quota_us(self, pod: RunningPod) -> int:
        """CPU quota of the cgroup of the pod's QoS class, µs per 100 ms; -1: none."""
        return self._cgroups.quota_us(class_directory(pod.plan.qos, self._cgroups.driver))

    def quota_m(self, pod: RunningPod) -> int:
        """CPU quota of the pod's cgroup, in milli-CPUs; -1: none."""
        quota_us = self._cgroups.quota_us(pod_directory(pod.cgroup_parent))
        return quota_us if quota_us == UNLIMITED else quota_us * 1000 // CFS_PERIOD_US

    @property
    def go(self) -> Path:
        """Written by the bench: when all programs begin."""
        return self._directory / "go"

    @contextmanager
    def _running(self, plan: PodPlan, seconds: float) -> Iterator[RunningPod]:
        uid = str(uuid.uuid4())
        parent = self._cgroups.parent_of(plan.qos, uid)
        resources = _resources(plan)
        limits = Limits(resources["cpu_shares"], resources["cpu_quota"], resources["memory_limit_in_bytes"])
        sandbox, container = "", ""
        try:
            self._cgroups.make(parent, limits)
            config = _sandbox(plan, uid, parent)
            sandbox = self._cri.call("RunPodSandbox", config=config).pod_sandbox_id
            ready, result = self._directory / f"ready-{plan.name}.json", self._directory / f"{plan.name}.json"
            asked = self._container(plan, config, seconds, ready, result)
            answer = self._cri.call("CreateContainer", pod_sandbox_id=sandbox, config=asked, sandbox_config=config)
            container = answer.container_id
            self._cri.call("StartContainer", container_id=container)
            yield RunningPod(plan, parent, sandbox, ready, result)
        finally:
            self._remove(sandbox, container, parent)

    def _remove(self, sandbox: str, container: str, parent: str) -> None:
        # What fails must not keep the rest from being removed.
        with contextlib.suppress(BenchError):
            if container:
                self._cri.call("StopContainer", container_id=container, timeout=0)
                self._cri.call("RemoveContainer", container_id=container)
        with contextlib.suppress(BenchError):
            if sandbox:
                self._cri.call("StopPodSandbox", pod_sandbox_id=sandbox)
                self._cri.call("RemovePodSandbox", pod_sandbox_id=sandbox)
        self._cgroups.remove(parent)

    def _container(
        self, plan: PodPlan, sandbox: dict[str, Any], seconds: float, ready: Path, result: Path
    ) -> dict[str, Any]:
        files = {"go": self.go, "ready": ready, "result": result}
        config = {**plan.config, "seconds": seconds} | {key: path.name for key, path in files.items()}
        python = str(Path(sys.executable).resolve())
        mounts = [
            {"container_path": path, "host_path": str(Path(path).resolve()), "readonly": True}
            for path in dict.fromkeys(_PYTHON_NEEDS)
            if Path(path).exists()
        ]
        pod = sandbox["metadata"]
        return {
            "metadata": {"name": CONTAINER},
            "image": {"image": self._image, "user_specified_image": self._image},
            "command": [python, "-S", "-E", "inside.py", plan.program, json.dumps(config)],
            "working_dir": THERE,
            "mounts": [*mounts, {"container_path": THERE, "host_path": str(self._directory)}],
            "labels": {**_labels(pod), "io.kubernetes.container.name": CONTAINER},
            "linux": {"resources": _resources(plan), "security_context": {"namespace_options": _NAMESPACES}},
        }


def _sandbox(plan: PodPlan, uid: str, cgroup_parent: str) -> dict[str, Any]:
    metadata = {"name": plan.name, "namespace": NAMESPACE, "uid": uid}
    return {
        "metadata": metadata,
        "labels": {**plan.labels, **_labels(metadata)},
        "annotations": dict(plan.annotations),
        "linux": {
            "cgroup_parent": cgroup_parent,
            "security_context": {"namespace_options": _NAMESPACES},
            "resources": _resources(plan),
        },
    }


def _labels(metadata: dict[str, str]) -> dict[str, str]:
    return {f"io.kubernetes.pod.{key}": metadata[key] for key in ("name", "namespace", "uid")}


def _resources(plan: PodPlan) -> dict[str, int]:
    return {
        "cpu_period": CFS_PERIOD_US,
        "cpu_quota": plan.cpu_limit_m * CFS_PERIOD_US // 1000,
        "cpu_shares": milli_to_shares(plan.cpu_request_m),
        "memory_limit_in_bytes": plan.memory_limit,
    }


def check_node(cri: CRI, image: str) -> None:
    """Raises BenchError where pods of others would disturb the figures, or the image is missing.

    A kubelet of this runtime would end our pods, which no API server knows. A node with one has other pods, too.
    """
    ready = [pod for pod in cri.call("ListPodSandbox").items if pod.state == 0]
    if ready:
        raise BenchError(
            f"{cri.socket}: expected a node without pods, found {len(ready)}: they and the bench would disturb each other; "
            "stop kubelet, and remove them first"
        )
    if not cri.call("ImageStatus", image={"image": image}).HasField("image"):
        raise BenchError(
            f"{image}: expected an image that the runtime has, found none; import it, or name another one by --image"
        )


def cgroup_driver(cri: CRI) -> str:
    """The runtime's, by its own configuration: `systemd` or `cgroupfs`."""
    text = cri.call("Status", verbose=True).info.get("config", "{}")
    return "systemd" if _has_true(json.loads(text), "SystemdCgroup") else "cgroupfs"


def _has_true(document: Any, key: str) -> bool:
    if isinstance(document, dict):
        return document.get(key) is True or any(_has_true(value, key) for value in document.values())
    return isinstance(document, list) and any(_has_true(value, key) for value in document)
