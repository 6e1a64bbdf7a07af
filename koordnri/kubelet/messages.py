"""Turns a Pod manifest into the NRI messages that containerd would send."""

from __future__ import annotations

import hashlib
import uuid
from functools import partial
from typing import NamedTuple

from koordnri.kubelet.manifest import (
    CPU,
    DEFAULT_SCHEDULER,
    MEMORY,
    ContainerManifest,
    PodManifest,
    PodSpecManifest,
    ResourceRequirements,
)
from koordnri.kubelet.qos import (
    container_limit,
    container_request,
    kube_qos,
    memory_left,
    pod_limit,
    pod_request,
    whole,
)
from koordnri.model import KubeQoS, NodeState, Resources
from koordnri.model.convert import CFS_PERIOD_US, milli_to_quota_us, milli_to_shares
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.wire import api_pb2 as api

GUARANTEED_OOM_SCORE_ADJ = -997
BESTEFFORT_OOM_SCORE_ADJ = 1000
_CRITICAL = "system-node-critical"
_NAMESPACE = uuid.UUID("5d0f1b3e-6f0c-4a55-9f0e-6b6f6f72646e")
"""Namespace of the uids derived from namespace and name, so that the same manifest gives the same messages."""
_SEEN = "2026-01-01T00:00:00.000000000Z"


class SimulatedPod(NamedTuple):
    """What the runtime knows of one pod. `containers` are in the order of creation: init containers first."""

    sandbox: api.PodSandbox
    containers: list[api.Container]
    spec: PodSpec
    kube_qos: KubeQoS
    cgroup: Resources
    """what kubelet sets on the pod's own cgroup, including the overhead, which the sandbox message has separately"""
    run_first: frozenset[str]
    """init containers that must have ended before the next container is created"""


def pod_messages(manifest: PodManifest, node: NodeState) -> SimulatedPod:
    """The messages of CreateContainer for this pod on this node.

    A pod without a name is called `pod`. Ids and a missing uid are derived from namespace and name.
    """
    qos = kube_qos(manifest.spec)
    sandbox = _sandbox(manifest, node, qos)
    containers = [_container(c, manifest.spec, sandbox, node, qos) for c in manifest.spec.all_containers]
    run_first = frozenset(c.name for c in manifest.spec.init_containers if not c.sidecar)
    own = whole(manifest.spec)
    spec = PodSpec(
        {
            c.name: ContainerSpec(c.resources.requests, c.resources.limits, c.name in run_first, c.sidecar)
            for c in manifest.spec.all_containers
        },
        bool(manifest.spec.resource_claims),
        own.requests,
        own.limits,
        manifest.spec.overhead,
        manifest.spec.scheduler_name or DEFAULT_SCHEDULER,
        manifest.spec.service_account_name,
    )
    return SimulatedPod(sandbox, containers, spec, qos, _pods_cgroup(manifest.spec, qos), run_first)


def cgroup_parent(driver: str, qos: KubeQoS, uid: str) -> str:
    """The pod's cgroup as kubelet names it in CRI: a path for cgroupfs, the name of the slice for systemd."""
    level = "" if qos is KubeQoS.GUARANTEED else qos.lower()
    if driver == "cgroupfs":
        return "/".join(part for part in ("/kubepods", level, f"pod{uid}") if part)
    slices = ["kubepods"] + ([f"kubepods-{level}"] if level else [])
    slices.append(f"{slices[-1]}-pod{uid.replace('-', '_')}")
    return "".join(f"/{s}.slice" for s in slices)


def oom_score_adj(qos: KubeQoS, critical: bool, request_bytes: int, capacity_bytes: int) -> int:
    """kubelet's score: the more of the node's memory a Burstable container requests, the later it is killed; 3..999.

    The documentation says 2 for the lower end; in kubelet's code it is 1000 minus 997.
    """
    if critical or qos is KubeQoS.GUARANTEED:
        return GUARANTEED_OOM_SCORE_ADJ
    if qos is KubeQoS.BESTEFFORT:
        return BESTEFFORT_OOM_SCORE_ADJ
    share = 1000 * request_bytes // capacity_bytes if capacity_bytes > 0 else 0
    return min(max(1000 + GUARANTEED_OOM_SCORE_ADJ, 1000 - share), BESTEFFORT_OOM_SCORE_ADJ - 1)


def _pods_cgroup(spec: PodSpecManifest, qos: KubeQoS) -> Resources:
    overhead = ResourceRequirements(spec.overhead)
    cpu, memory = (overhead.request(resource) or 0 for resource in (CPU, MEMORY))
    request, limit, limit_bytes = pod_request(spec, CPU), pod_limit(spec, CPU), pod_limit(spec, MEMORY)
    return Resources(
        milli_to_shares(0 if qos is KubeQoS.BESTEFFORT else request + cpu),
        milli_to_quota_us(limit + cpu) if limit else None,
        CFS_PERIOD_US,
        memory_limit=limit_bytes + memory if limit_bytes else None,
    )


def _sandbox(manifest: PodManifest, node: NodeState, qos: KubeQoS) -> api.PodSandbox:
    metadata, spec = manifest.metadata, manifest.spec
    name = metadata.name or (metadata.generate_name and f"{metadata.generate_name}0") or "pod"
    namespace = metadata.namespace or "default"
    uid = metadata.uid or str(uuid.uuid5(_NAMESPACE, f"{namespace}/{name}"))
    sandbox_id = _id(namespace, name, uid)
    parent = cgroup_parent(node.cgroup_driver, qos, uid)
    sandbox = api.PodSandbox(
        id=sandbox_id,
        name=name,
        uid=uid,
        namespace=namespace,
        labels={**metadata.labels, **_pod_labels(name, namespace, uid)},
        annotations={
            **metadata.annotations,
            "kubernetes.io/config.seen": _SEEN,
            "kubernetes.io/config.source": "api",
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.sandbox-id": sandbox_id,
            "io.kubernetes.cri.sandbox-name": name,
            "io.kubernetes.cri.sandbox-namespace": namespace,
            "io.kubernetes.cri.sandbox-uid": uid,
        },
        runtime_handler=spec.runtime_class_name,
    )
    linux = sandbox.linux
    linux.cgroup_parent = parent
    linux.cgroups_path = _cgroups_path(node.cgroup_driver, parent, sandbox_id)
    _put(linux.pod_resources, pod_request(spec, CPU), pod_limit(spec, CPU), pod_limit(spec, MEMORY))
    overhead = ResourceRequirements(spec.overhead, spec.overhead)
    if spec.overhead:
        _put(linux.pod_overhead, *(overhead.limit(r) or 0 for r in (CPU, CPU, MEMORY)))
    linux.resources.cpu.shares.value = 2
    return sandbox


def _container(
    manifest: ContainerManifest, spec: PodSpecManifest, sandbox: api.PodSandbox, node: NodeState, qos: KubeQoS
) -> api.Container:
    container_id = _id(sandbox.id, manifest.name)
    container = api.Container(
        id=container_id,
        pod_sandbox_id=sandbox.id,
        name=manifest.name,
        labels={
            **_pod_labels(sandbox.name, sandbox.namespace, sandbox.uid),
            "io.kubernetes.container.name": manifest.name,
            "io.cri-containerd.kind": "container",
        },
        annotations={
            "io.kubernetes.container.hash": container_id[:8],
            "io.kubernetes.container.restartCount": "0",
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.container.terminationMessagePolicy": "File",
            "io.kubernetes.pod.terminationGracePeriod": str(spec.termination_grace_period_seconds),
            "io.kubernetes.cri.container-name": manifest.name,
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": manifest.image,
            "io.kubernetes.cri.sandbox-id": sandbox.id,
            "io.kubernetes.cri.sandbox-name": sandbox.name,
            "io.kubernetes.cri.sandbox-namespace": sandbox.namespace,
            "io.kubernetes.cri.sandbox-uid": sandbox.uid,
        },
        args=[*manifest.command, *manifest.args],
        env=[f"{e.name}={e.value}" for e in manifest.env if e.value_from is None],
    )
    linux, limits_of = container.linux, partial(container_limit, manifest, spec)
    _put(linux.resources, container_request(manifest, spec), limits_of(CPU), limits_of(MEMORY))
    if node.cgroup_version == 2:
        linux.resources.unified["memory.oom.group"] = "1"
    linux.cgroups_path = _cgroups_path(node.cgroup_driver, sandbox.linux.cgroup_parent, container_id)
    linux.oom_score_adj.value = oom_score_adj(
        qos,
        spec.priority_class_name == _CRITICAL,
        (manifest.resources.request(MEMORY) or 0) + memory_left(spec),
        node.memory_bytes,
    )
    return container


def _put(resources: api.LinuxResources, request_milli: int, limit_milli: int, memory_bytes: int) -> None:
    """Set what kubelet asks for; without a quota or memory limit the field stays absent."""
    resources.cpu.shares.value = milli_to_shares(request_milli)
    resources.cpu.period.value = CFS_PERIOD_US
    if limit_milli > 0:
        resources.cpu.quota.value = milli_to_quota_us(limit_milli)
    if memory_bytes > 0:
        resources.memory.limit.value = memory_bytes


def _pod_labels(name: str, namespace: str, uid: str) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.namespace": namespace,
        "io.kubernetes.pod.uid": uid,
    }


def _cgroups_path(driver: str, parent: str, container_id: str) -> str:
    if driver == "cgroupfs":
        return f"{parent}/{container_id}"
    return f"{parent.rpartition('/')[2]}:cri-containerd:{container_id}"


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
