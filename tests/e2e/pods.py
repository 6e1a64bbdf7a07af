"""The pods that these tests run, as Koordinator's scheduler and webhook would have left them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.kubelet import Container, Kubelet, Pod

MIB = 1 << 20
UNLIMITED = -1
PINNED_CPUS = "1"

RESOURCE_STATUS = "scheduling.koordinator.sh/resource-status"
EXTENDED_RESOURCES = "node.koordinator.sh/extended-resource-spec"
DEVICE_ALLOCATED = "scheduling.koordinator.sh/device-allocated"
MEMORY_QOS = "koordinator.sh/memoryQOS"
BLKIO_QOS = "koordinator.sh/blkioQOS"
QOS_CLASS = "koordinator.sh/qosClass"

BATCH_CPU_M = 500
BATCH_MEMORY = 96 * MIB
BATCH_SHARES = 512
BATCH_QUOTA_US = 50_000

RATIO_2 = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'
"""A policy by which this node's CPUs count double, so that quotas are halved."""


def pinned(kubelet: Kubelet, **options: Any) -> Container:
    """A running LSR container pinned to CPU 1 by the scheduler; kubelet asks for one CPU, both request and limit."""
    pod = kubelet.run_pod(
        qos="Guaranteed",
        labels={QOS_CLASS: "LSR"},
        annotations={RESOURCE_STATUS: json.dumps({"cpuset": PINNED_CPUS}), **options.pop("annotations", {})},
    )
    return kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB, **options)


def owner(kubelet: Kubelet) -> tuple[Pod, Container]:
    """The same, and its pod, of which kubelet has set a quota of its own."""
    resources = {"cpu_request_m": 1000, "cpu_limit_m": 1000, "memory_limit": 64 * MIB}
    annotations = {RESOURCE_STATUS: json.dumps({"cpuset": PINNED_CPUS})}
    pod = kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: "LSR"}, annotations=annotations, **resources)
    return pod, kubelet.run_container(pod, **resources)


def wants_a_cpu(kubelet: Kubelet, **options: Any) -> Container:
    """A running LSR container of one CPU, of which no scheduler has assigned any."""
    pod = kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: "LSR"})
    return kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB, **options)


def batch(kubelet: Kubelet, **options: Any) -> Container:
    """A running BE container with 500 milli-CPUs and 96 MiB of batch resources, of which kubelet knows nothing."""
    amounts = {"kubernetes.io/batch-cpu": str(BATCH_CPU_M), "kubernetes.io/batch-memory": str(BATCH_MEMORY)}
    spec = {"containers": {"main": {"requests": amounts, "limits": amounts}}}
    pod = kubelet.run_pod(
        qos="BestEffort",
        labels={QOS_CLASS: "BE"},
        annotations={EXTENDED_RESOURCES: json.dumps(spec), **options.pop("annotations", {})},
    )
    return kubelet.run_container(pod, **options)


def plain(kubelet: Kubelet, **options: Any) -> Container:
    """A running container that no hook has a say in: 250 of 500 milli-CPUs, 64 MiB."""
    return kubelet.run_container(
        kubelet.run_pod(), cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB, **options
    )


def normalised(kubelet: Kubelet) -> Container:
    """A running LS container whose quota the policy RATIO_2 halves: 800 milli-CPUs asked, 40000 µs got."""
    pod = kubelet.run_pod(labels={QOS_CLASS: "LS"})
    return kubelet.run_container(pod, cpu_request_m=400, cpu_limit_m=800, memory_limit=64 * MIB)


def disk() -> tuple[str, str]:
    """A whole disk of this machine: its path, and its number as cgroup files have it."""
    for entry in sorted(Path("/sys/block").iterdir()):
        # A disk that something is mounted from has a size; loop devices and the like are no disks.
        if "/virtual/" not in str(entry.resolve()) and int((entry / "size").read_text()):
            return f"/dev/{entry.name}", (entry / "dev").read_text().strip()
    raise AssertionError("/sys/block: expected a disk, found none")


def gpus(*minors: int) -> dict[str, str]:
    """Annotation of a pod that was given these GPUs whole."""
    devices = [{"minor": minor, "resources": {"koordinator.sh/gpu-core": "100"}} for minor in minors]
    return {DEVICE_ALLOCATED: json.dumps({"gpu": devices})}


def check_pinned(kubelet: Kubelet, container: Container) -> None:
    """The container has its CPUs and no quota on them."""
    assert kubelet.reads(container, "cpu.cpus", "cpu.quota") == {"cpu.cpus": PINNED_CPUS, "cpu.quota": UNLIMITED}


def check_batch(kubelet: Kubelet, container: Container) -> None:
    """The container has its batch resources as shares, quota and memory limit."""
    expected = {"cpu.quota": BATCH_QUOTA_US, "memory.limit": BATCH_MEMORY}
    assert kubelet.reads(container, "cpu.quota", "memory.limit") == expected
    assert kubelet.has_shares(container, BATCH_SHARES), "shares are not those of 500 milli-CPUs"
