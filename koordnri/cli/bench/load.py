"""The load of `bench`: pods of four kinds, as large as real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from koordnri.wire import api_pb2 as api

CPUS = 64
CORES = CPUS // 2
NAMESPACE = "production"
"""of all pods"""
_PARENTS = {"guaranteed": "kubepods-pod{}.slice"}
"""Guaranteed pods are directly below kubepods, others in the slice of their class."""


class Kind(NamedTuple):
    """A kind of pod."""

    name: str
    kube_qos: str
    label: str
    """koordinator.sh/qosClass, "" for none"""
    annotations: Callable[[int], dict[str, str]]
    """of the pod with this number; different for each pod, so that no pod profits from another's parsed annotations"""
    sets: str
    """what koordnri must set on such a container, as the runtime names it; otherwise the bench measures nothing"""
    follows: str
    """a file of such a container that changes when `bench_policy.everything` takes its other turn"""


def _pinned(number: int) -> dict[str, str]:
    core = number % CORES
    return {
        "scheduling.koordinator.sh/resource-spec": '{"preferredCPUBindPolicy":"FullPCPUs"}',
        "scheduling.koordinator.sh/resource-status": json.dumps(
            {"cpuset": f"{core},{core + CORES}", "numaNodeResources": [{"node": core * 2 // CORES}]}
        ),
    }


def _batch(number: int) -> dict[str, str]:
    def of(milli: int, mib: int) -> dict[str, str]:
        return {"kubernetes.io/batch-cpu": str(milli), "kubernetes.io/batch-memory": f"{mib}Mi"}

    amounts = {"requests": of(500 + number, 512 + number), "limits": of(1000 + number, 1024 + number)}
    spec = {"containers": {"main": amounts}}
    return {"node.koordinator.sh/extended-resource-spec": json.dumps(spec)}


def _gpu(number: int) -> dict[str, str]:
    resources = {
        "koordinator.sh/gpu-core": str(10 + number % 80),
        "koordinator.sh/gpu-memory": f"{1 + number % 40}Gi",
        "koordinator.sh/gpu-memory-ratio": str(10 + number % 80),
    }
    gpus = [{"minor": number % 8, "resources": resources}]
    return {"scheduling.koordinator.sh/device-allocated": json.dumps({"gpu": gpus})}


def _plain(_number: int) -> dict[str, str]:
    return {}


KINDS = (
    Kind("lsr", "guaranteed", "LSR", _pinned, "CPUSetCPUs", "memory.min"),
    Kind("be", "besteffort", "BE", _batch, "CPUQuota", "memory.high"),
    Kind("plain", "burstable", "", _plain, "Annotations koordnri.io/baseline", "cpu.max"),
    Kind("gpu", "burstable", "LS", _gpu, "Env NVIDIA_VISIBLE_DEVICES", "cpu.max"),
)


def make_pod(kind: Kind, number: int) -> api.PodSandbox:
    """A pod as containerd sends it."""
    uid = f"{number:08x}-6f1c-4c0e-9d0a-{number:012x}"
    labels = {
        "app.kubernetes.io/name": f"{kind.name}-service",
        "app.kubernetes.io/instance": f"{kind.name}-service-production",
        "app.kubernetes.io/version": "2.14.3",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": f"{number:010x}",
        "io.kubernetes.pod.name": f"{kind.name}-service-{number}",
        "io.kubernetes.pod.namespace": NAMESPACE,
        "io.kubernetes.pod.uid": uid,
    }
    if kind.label:
        labels["koordinator.sh/qosClass"] = kind.label
    if kind.name == "gpu":
        labels["koordinator.sh/gpu-isolation-provider"] = "HAMi-core"
    annotations = {
        "kubernetes.io/config.seen": f"2026-01-01T00:00:00.{number:09}Z",
        "kubernetes.io/config.source": "api",
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9102",
        "checksum/config": f"{number:064x}",
        "checksum/secret": f"{number + 1:064x}",
        "k8s.v1.cni.cncf.io/network-status": json.dumps(
            [
                {
                    "name": "k8s-pod-network",
                    "interface": "eth0",
                    "ips": [f"10.4.{number // 250 % 250}.{number % 250}"],
                    "mac": f"0a:58:0a:04:{number // 250 % 250:02x}:{number % 250:02x}",
                    "default": True,
                    "dns": {},
                }
            ],
            indent=4,
        ),
        "cni.projectcalico.org/podIP": f"10.4.{number // 250 % 250}.{number % 250}/32",
        **kind.annotations(number),
    }
    pod = api.PodSandbox(
        id=f"{number:064x}", name=f"{kind.name}-service-{number}", uid=uid, namespace=NAMESPACE,
        labels=labels, annotations=annotations, pid=20000 + number, ips=["10.4.0.7"],
    )  # fmt: skip
    parent = _PARENTS.get(kind.kube_qos, f"kubepods-{kind.kube_qos}-pod{{}}.slice")
    pod.linux.cgroup_parent = parent.format(uid.replace("-", "_"))
    pod.linux.cgroups_path = f"{pod.linux.cgroup_parent}:cri-containerd:{pod.id}"
    for name in ("pid", "ipc", "uts", "mount", "network"):
        pod.linux.namespaces.add(type=name, path=f"/proc/{pod.pid}/ns/{name}" if name != "pid" else "")
    return pod


def make_container(pod: api.PodSandbox, kind: Kind, number: int) -> api.Container:
    """Its container as containerd sends it at creation: service variables, kubelet's mounts, masked paths, devices."""
    container = api.Container(id=f"c{number:063x}", pod_sandbox_id=pod.id, name="main")
    container.labels.update(
        {
            "io.cri-containerd.kind": "container",
            "io.kubernetes.container.name": "main",
            "io.kubernetes.pod.name": pod.name,
            "io.kubernetes.pod.namespace": pod.namespace,
            "io.kubernetes.pod.uid": pod.uid,
        }
    )
    container.annotations.update(
        {
            "io.kubernetes.cri.container-name": "main",
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "registry.example.com/production/service:2.14.3",
            "io.kubernetes.cri.sandbox-id": pod.id,
            "io.kubernetes.cri.sandbox-name": pod.name,
            "io.kubernetes.cri.sandbox-namespace": pod.namespace,
        }
    )
    container.args.extend(["/usr/local/bin/service", "--config=/etc/service/config.yaml", f"--instance={number}"])
    container.env.extend(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"HOSTNAME={pod.name}"])
    for service in ("KUBERNETES", "DATABASE", "CACHE", "QUEUE", "SEARCH", "GATEWAY", "METRICS"):
        address = f"10.96.{len(service)}.1"
        container.env.extend(
            [
                f"{service}_SERVICE_HOST={address}",
                f"{service}_SERVICE_PORT=443",
                f"{service}_PORT=tcp://{address}:443",
                f"{service}_PORT_443_TCP=tcp://{address}:443",
                f"{service}_PORT_443_TCP_PROTO=tcp",
                f"{service}_PORT_443_TCP_ADDR={address}",
            ]
        )
    _add_mounts(container, pod, number)
    _add_resources(container, pod, kind, number)
    return container


def _add_mounts(container: api.Container, pod: api.PodSandbox, number: int) -> None:
    home = f"/var/lib/kubelet/pods/{pod.uid}"
    for destination, source, kind_of in (
        ("/proc", "proc", "proc"),
        ("/dev", "tmpfs", "tmpfs"),
        ("/dev/pts", "devpts", "devpts"),
        ("/dev/mqueue", "mqueue", "mqueue"),
        ("/sys", "sysfs", "sysfs"),
        ("/sys/fs/cgroup", "cgroup", "cgroup"),
        ("/etc/hosts", f"{home}/etc-hosts", "bind"),
        ("/dev/termination-log", f"{home}/containers/main/{number:08x}", "bind"),
        ("/etc/service", f"{home}/volumes/kubernetes.io~configmap/config", "bind"),
        ("/data", f"{home}/volumes/kubernetes.io~csi/data/mount", "bind"),
        ("/var/run/secrets/kubernetes.io/serviceaccount", f"{home}/volumes/kubernetes.io~projected/token", "bind"),
    ):
        container.mounts.add(
            destination=destination, source=source, type=kind_of, options=["rbind", "rprivate", "ro", "nosuid"]
        )


def _add_resources(container: api.Container, pod: api.PodSandbox, kind: Kind, number: int) -> None:
    linux = container.linux
    for name in ("pid", "ipc", "uts", "mount", "network"):
        linux.namespaces.add(type=name, path=f"/proc/{pod.pid}/ns/{name}" if name not in ("pid", "mount") else "")
    linux.cgroups_path = f"{pod.linux.cgroup_parent}:cri-containerd:{container.id}"
    linux.oom_score_adj.value = 1000 if kind.kube_qos == "besteffort" else 985
    cpu, memory = linux.resources.cpu, linux.resources.memory
    if kind.kube_qos == "besteffort":
        cpu.shares.value = 2
    else:
        cpu.shares.value, cpu.quota.value, memory.limit.value = 2048, 200000, (2 << 30) + number * 4096
    cpu.period.value = 100000
    linux.resources.unified["memory.oom.group"] = "1"
    linux.resources.devices.add(allow=False, access="rwm")


def request_bytes(pod: api.PodSandbox, container: api.Container) -> int:
    """Size of the CreateContainer request for the two."""
    return api.CreateContainerRequest(pod=pod, container=container).ByteSize()
