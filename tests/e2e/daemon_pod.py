"""koordnri's own pod, as kubelet makes it of the DaemonSet: image, arguments, mounts, rights and limits are the manifest's."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.cri_requests import Asked, container_config
from tests.e2e.daemon import START_S
from tests.e2e.kubelet import Kubelet
from tests.e2e.readings import Container
from tests.support.waiting import eventually

Manifest = dict[str, Any]
NODE = "lab"
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# What kubelet passes for `procMount: Default` (Kubernetes' pkg/securitycontext).
_MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"),
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class DaemonPod:
    """The pod of one DaemonSet, on the host's network, for the laboratory has no CNI plugin."""

    def __init__(self, kubelet: Kubelet, daemonset: Manifest, volumes: Mapping[str, Path], image: str) -> None:
        """Made, and not yet started.

        volumes   name → directory, of those that kubelet itself fills (ConfigMaps)
        image     its name in the runtime
        """
        spec = daemonset["spec"]["template"]["spec"]
        (self.manifest,) = spec["containers"]
        self._first: list[Manifest] = spec.get("initContainers", [])
        self.port = _port(self.manifest, "metrics")
        self._health_port = _port(self.manifest, "health")
        self._kubelet, self._image = kubelet, image
        resources = self.manifest["resources"]
        assert all(first["resources"] == resources for first in self._first), (
            "the pod's sums are those of one container"
        )
        self._asked = Asked(
            _milli(resources["requests"].get("cpu", "0")),
            _milli(resources.get("limits", {}).get("cpu", "0")),
            _bytes(resources.get("limits", {}).get("memory", "0")),
        )
        self._sources = dict(volumes) | {
            v["name"]: _host_path(v["hostPath"]) for v in spec["volumes"] if "hostPath" in v
        }
        sums = (self._asked.cpu_request_m, self._asked.cpu_limit_m, self._asked.memory_limit)
        names = ("cpu_request_m", "cpu_limit_m", "memory_limit")
        self._pod = kubelet.run_pod(
            "koordnri-x7k2p", namespace="koordnri-system", **dict(zip(names, sums, strict=True))
        )
        self._logs = kubelet.runtime.work / "koordnri-logs"
        self._logs.mkdir(exist_ok=True)
        self._pod.config["log_directory"] = str(self._logs)
        for first in self._first:
            self._run_to_its_end(first)
        self.container = self._create(self.manifest, 0)
        self.start_s = 0.0
        """s from the start of the container until it was ready"""

    def start(self) -> None:
        """Start its container, and wait until kubelet's readiness probe would pass."""
        begin = time.monotonic()
        self._kubelet.start(self.container)
        try:
            eventually(self.ready, "koordnri ready in its container", START_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None
        self.start_s = time.monotonic() - begin

    def restart(self, profile: Manifest | None = None) -> None:
        """Stop the container as kubelet does, and run another one in the pod; with another `seccompProfile`, if one is given."""
        old = self.container
        self._kubelet.stop(old, grace_s=10)
        if profile is not None:
            self.manifest["securityContext"]["seccompProfile"] = profile
        self.container = self._create(self.manifest, old.attempt + 1)
        self.start()
        self._kubelet.remove(old)

    def ready(self) -> bool:
        """Whether the readiness probe passes. A container that has ended is an AssertionError."""
        assert self._kubelet.running(self.container), "koordnri ended"
        with contextlib.suppress(urllib.error.URLError):
            _get(self._health_port, "/readyz")
            return True
        return False

    def metric(self, name: str) -> float:
        """Sum of the samples of this name; 0 when there is none."""
        families = text_string_to_metric_families(_get(self.port, "/metrics"))
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def execute(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in the container, standard error last."""
        done = self._kubelet.cri.call("ExecSync", container_id=self.container.id, cmd=list(command), timeout=60)
        return done.exit_code, (done.stdout + done.stderr).decode()

    def log(self) -> str:
        """What it has logged, in the runtime's format."""
        return (self._logs / _log_name(self.container.name, self.container.attempt)).read_text()

    def _run_to_its_end(self, manifest: Manifest) -> None:
        container = self._create(manifest, 0)
        self._kubelet.cri.call("StartContainer", container_id=container.id)
        eventually(lambda: not self._kubelet.running(container), f"init container {container.name} to end")
        status = self._kubelet.cri.call("ContainerStatus", container_id=container.id).status
        log = (self._logs / _log_name(container.name, 0)).read_text()
        assert status.exit_code == 0, f"init container {container.name}: exit {status.exit_code}: {log}"

    def _create(self, manifest: Manifest, attempt: int) -> Container:
        kubelet, pod, name = self._kubelet, self._pod, manifest["name"]
        resources = self._asked.resources(pod.qos, kubelet.cgroups.version)
        config = container_config(name, pod.config, resources, attempt=attempt, command=manifest.get("command", ()))
        config["image"]["image"] = self._image
        config["log_path"] = _log_name(name, attempt)
        config["args"] = list(manifest.get("args", ()))
        config["envs"] = [{"key": v["name"], "value": v.get("value", NODE).encode()} for v in manifest.get("env", ())]
        config["mounts"] = [self._mount(mount) for mount in manifest["volumeMounts"]]
        rights = _rights(manifest["securityContext"], self._sources.get("kubelet-seccomp"))
        config["linux"]["security_context"].update(rights)
        answer = kubelet.cri.call(
            "CreateContainer", pod_sandbox_id=pod.sandbox_id, config=config, sandbox_config=pod.config
        )
        container = Container(answer.container_id, name, pod, self._asked, {}, pod.sandbox_id, attempt)
        pod.containers.append(container)
        return container

    def _mount(self, mount: Manifest) -> dict[str, Any]:
        messages = self._kubelet.cri.messages
        propagation = {None: messages.PROPAGATION_PRIVATE, "HostToContainer": messages.PROPAGATION_HOST_TO_CONTAINER}
        return {
            "container_path": mount["mountPath"],
            "host_path": str(self._sources[mount["name"]]),
            "readonly": mount.get("readOnly", False),
            "recursive_read_only": mount.get("recursiveReadOnly") == "IfPossible",
            "propagation": propagation[mount.get("mountPropagation")],
        }


def rendered(helm: Path, *arguments: str) -> dict[tuple[str, str], Manifest]:
    """(Kind, name) → object that `helm template` makes of the chart. Raises AssertionError with helm's words."""
    chart = Path(__file__).parents[2] / "helm/koordnri"
    command = [
        str(helm),
        "template",
        "koordnri",
        str(chart),
        "--namespace",
        "koordnri-system",
        "--kube-version",
        "1.35.0",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {(m["kind"], m["metadata"]["name"]): m for m in yaml.safe_load_all(done.stdout) if m}


def write_configmap(folder: Path, data: Mapping[str, str]) -> None:
    """Fill a ConfigMap's volume as kubelet does: each key links through ..data, which is exchanged as a whole."""
    number = len(list(folder.glob("..[0-9]*"))) if folder.exists() else 0
    version = folder / f"..{number}"
    version.mkdir(parents=True)
    for key, value in data.items():
        (version / key).write_text(value)
        if not (folder / key).is_symlink():
            (folder / key).symlink_to(f"..data/{key}")
    (folder / "..data_tmp").symlink_to(version.name)
    os.replace(folder / "..data_tmp", folder / "..data")
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in data:
            link.unlink()


def _host_path(volume: Manifest) -> Path:
    path = Path(volume["path"])
    kind = volume.get("type", "")
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    assert kind != "Directory" or path.is_dir(), f"hostPath {path}: expected a directory"
    assert kind != "File" or path.is_file(), f"hostPath {path}: expected a file"
    return path


def _log_name(container: str, attempt: int) -> str:
    return f"{container}-{attempt}.log"


def _rights(security: Manifest, profiles: Path | None) -> dict[str, Any]:
    """The container's part of CRI's security context. Anything that it does not know is an AssertionError.

    profiles   kubelet's directory of seccomp profiles
    """
    known = {
        "runAsUser",
        "privileged",
        "allowPrivilegeEscalation",
        "readOnlyRootFilesystem",
        "capabilities",
        "seccompProfile",
    }
    assert security.keys() == known, f"teach tests/e2e/daemon_pod.py about {security.keys() ^ known}"
    capabilities = security["capabilities"]
    return {
        "run_as_user": {"value": security["runAsUser"]},
        "privileged": security["privileged"],
        "no_new_privs": not security["allowPrivilegeEscalation"],
        "readonly_rootfs": security["readOnlyRootFilesystem"],
        "capabilities": {
            "drop_capabilities": capabilities.get("drop", []),
            "add_capabilities": capabilities.get("add", []),
        },
        "seccomp": _seccomp(security["seccompProfile"], profiles),
        "masked_paths": list(_MASKED),
        "readonly_paths": list(_READ_ONLY),
    }


def _seccomp(profile: Manifest, profiles: Path | None) -> dict[str, Any]:
    """CRI's SecurityProfile."""
    if profile == {"type": "RuntimeDefault"}:
        return {"profile_type": 0}
    assert profile.keys() == {"type", "localhostProfile"}, f"teach tests/e2e/daemon_pod.py about {profile}"
    assert profiles is not None, "a localhost profile, and no init container that could have written it"
    return {"profile_type": 2, "localhost_ref": str(profiles / profile["localhostProfile"])}


def _port(container: Manifest, name: str) -> int:
    (port,) = [port["containerPort"] for port in container["ports"] if port["name"] == name]
    return int(port)


def _milli(cpus: str | int) -> int:
    text = str(cpus)
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def _bytes(amount: str | int) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w*)", str(amount)).groups()  # type: ignore[union-attr]  # else the manifest is wrong
    return int(number) * (_UNITS[unit] if unit else 1)


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())
