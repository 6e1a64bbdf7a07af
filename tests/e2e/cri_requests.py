"""What kubelet puts into its requests to the runtime: labels, annotations, resources and the cgroup of the pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e import lab
from tests.e2e.cgroups import Limits

PERIOD_US = 100_000
_OOM_SCORE_ADJ = {"Guaranteed": -997, "Burstable": 900, "BestEffort": 1000}
_CAP_SYS_RESOURCE = 24
_NAMESPACES = {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests and limits of a container, or a pod's sums, in milli-CPUs and bytes; 0 for none."""

    cpu_request_m: int = 0
    cpu_limit_m: int = 0
    memory_limit: int = 0

    def __add__(self, other: Asked) -> Asked:
        return Asked(
            self.cpu_request_m + other.cpu_request_m,
            self.cpu_limit_m + other.cpu_limit_m,
            self.memory_limit + other.memory_limit,
        )

    @property
    def quota_us(self) -> int:
        """The CPU limit per PERIOD_US."""
        return self.cpu_limit_m * PERIOD_US // 1000

    @property
    def pod_limits(self) -> Limits:
        """What kubelet writes into the cgroup of a pod."""
        return Limits(shares(self.cpu_request_m), self.quota_us, self.memory_limit)

    def resources(self, qos: str, cgroup_version: int) -> dict[str, Any]:
        """LinuxContainerResources of a creation."""
        pages = Path("/sys/kernel/mm/hugepages").glob("*kB") if _limits_hugepages(cgroup_version) else ()
        sizes = sorted(int(entry.name[len("hugepages-") : -2]) for entry in pages)
        return {
            "cpu_period": PERIOD_US,
            "cpu_quota": self.quota_us,
            "cpu_shares": shares(self.cpu_request_m),
            "memory_limit_in_bytes": self.memory_limit,
            "oom_score_adj": _OOM_SCORE_ADJ[qos] if _may_lower_oom_score() else max(_OOM_SCORE_ADJ[qos], 0),
            "hugepage_limits": [
                {"page_size": f"{size >> 20}GB" if size >> 20 else f"{size >> 10}MB", "limit": 0} for size in sizes
            ],
            "unified": {"memory.oom.group": "1"} if cgroup_version == 2 else {},
        }

    def update(self) -> dict[str, Any]:
        """LinuxContainerResources of an in-place resize."""
        return {
            "cpu_shares": shares(self.cpu_request_m) if self.cpu_request_m else 0,
            "cpu_quota": self.quota_us,
            "cpu_period": PERIOD_US if self.cpu_request_m or self.cpu_limit_m else 0,
            "memory_limit_in_bytes": self.memory_limit,
        }


def _limits_hugepages(cgroup_version: int) -> bool:
    """Whether the kernel can: kubelet's request fails on CRI-O where it cannot, and containerd leaves it out."""
    if cgroup_version == 1:
        return Path("/sys/fs/cgroup/hugetlb").exists()
    return "hugetlb" in Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()


def _may_lower_oom_score() -> bool:
    """Whether this machine lets root: containerd restricts itself, CRI-O fails."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_RESOURCE & 1)


def shares(milli: int) -> int:
    """CPU shares of so many milli-CPUs."""
    return min(max(milli * 1024 // 1000, 2), 262144)


def pod_cgroup(qos: str, uid: str, *, systemd: bool) -> str:
    """The cgroup of a pod, or of a QoS class where `uid` is ""."""
    level = "" if qos == "Guaranteed" else qos.lower()
    if not systemd:
        return "/".join(part for part in ("/kubepods", level, f"pod{uid}" if uid else "") if part)
    slices = ["kubepods"] + ([f"kubepods-{level}"] if level else [])
    if uid:
        slices.append(f"{slices[-1]}-pod{uid.replace('-', '_')}")
    return "".join(f"/{name}.slice" for name in slices)


def sandbox_config(
    name: str,
    namespace: str,
    uid: str,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    cgroup_parent: str,
    resources: Mapping[str, Any],
) -> dict[str, Any]:
    """PodSandboxConfig of a pod with the host's network. By default a static one, as there is no API server: so it is believed."""
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "attempt": 0},
        "labels": {**labels, **_pod_labels(name, namespace, uid)},
        "annotations": {
            "kubernetes.io/config.seen": "2026-01-01T00:00:00.000000000Z",
            "kubernetes.io/config.source": "file",
            **annotations,
        },
        "linux": {
            "cgroup_parent": cgroup_parent,
            "security_context": {"namespace_options": _NAMESPACES},
            "resources": resources,
        },
    }


def container_config(
    name: str,
    sandbox: Mapping[str, Any],
    resources: Mapping[str, Any],
    *,
    attempt: int = 0,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    mounts: Mapping[str, Path] | None = None,
    devices: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """ContainerConfig in the pod of that PodSandboxConfig; the rest as Kubelet.create_container has it."""
    pod = sandbox["metadata"]
    return {
        "metadata": {"name": name, "attempt": attempt},
        "image": {"image": lab.IMAGE, "user_specified_image": lab.IMAGE},
        "command": list(command),
        "mounts": [{"container_path": path, "host_path": str(own)} for path, own in (mounts or {}).items()],
        "devices": [
            {"container_path": path, "host_path": str(own), "permissions": "r"} for path, own in (devices or {}).items()
        ],
        "envs": [{"key": key, "value": value.encode()} for key, value in (env or {}).items()],
        "labels": {**_pod_labels(pod["name"], pod["namespace"], pod["uid"]), "io.kubernetes.container.name": name},
        "annotations": {
            "io.kubernetes.container.hash": "1d2c3b4a",
            "io.kubernetes.container.restartCount": str(attempt),
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.container.terminationMessagePolicy": "File",
            "io.kubernetes.pod.terminationGracePeriod": "30",
        },
        "linux": {"resources": resources, "security_context": {"namespace_options": _NAMESPACES}},
    }


def _pod_labels(name: str, namespace: str, uid: str) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.uid": uid,
    }
