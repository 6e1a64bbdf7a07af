"""Kubernetes' QoS class and the resource sums of a pod, from its spec.

Sources: kubernetes pkg/apis/core/v1/helper/qos (ComputePodQOS), k8s.io/component-helpers/resource (PodRequests, PodLimits),
pkg/kubelet/cm (ResourceConfigForPod).
"""

from __future__ import annotations

from collections.abc import Callable

from koordnri.kubelet.manifest import CPU, MEMORY, ContainerManifest, PodSpecManifest, ResourceRequirements
from koordnri.model import KubeQoS

_COUNTED = (CPU, MEMORY)


def kube_qos(spec: PodSpecManifest) -> KubeQoS:
    """Guaranteed: every container, also each init container, has CPU and memory limits that equal its requests.

    If the pod has its own resources, those decide. BestEffort: neither requests nor limits.
    """
    own = whole(spec)
    if any(own.request(r) for r in _COUNTED):
        return KubeQoS.GUARANTEED if _guaranteed(own) else KubeQoS.BURSTABLE
    asked = [c.resources for c in spec.all_containers]
    if not any(a.request(r) for a in asked for r in _COUNTED):
        return KubeQoS.BESTEFFORT
    return KubeQoS.GUARANTEED if all(map(_guaranteed, asked)) else KubeQoS.BURSTABLE


def _guaranteed(asked: ResourceRequirements) -> bool:
    return all(asked.limit(r) and asked.limit(r) == asked.request(r) for r in _COUNTED)


def whole(spec: PodSpecManifest) -> ResourceRequirements:
    """The pod's own resources as the API server completes them: a limit without a request gets one, which is the sum of its containers'
    requests if any has one, otherwise the limit. Empty when the pod has none.
    """
    own = spec.resources or ResourceRequirements()
    requests = dict(own.requests)
    for resource in _COUNTED:
        if own.limits and resource not in requests and _requested(spec, resource):
            total = _requests(spec, resource)
            requests[resource] = f"{total}m" if resource == CPU else total
    return ResourceRequirements({**own.limits, **requests} if own.limits else requests, own.limits)


def _requested(spec: PodSpecManifest, resource: str) -> bool:
    return any(c.resources.request(resource) is not None for c in spec.all_containers)


def pod_request(spec: PodSpecManifest, resource: str) -> int:
    """Milli-cores or bytes that the pod requests; 0 for none."""
    own = whole(spec).request(resource)
    return _requests(spec, resource) if own is None else own


def pod_limit(spec: PodSpecManifest, resource: str) -> int:
    """Limit of the pod's own cgroup; 0 for none, which is the case as soon as one container has none."""
    own = whole(spec).limit(resource)
    if own is not None:
        return own
    if not all(c.resources.limit(resource) for c in spec.all_containers):
        return 0
    return _total(spec, lambda c: c.resources.limit(resource) or 0)


def container_request(container: ContainerManifest, spec: PodSpecManifest) -> int:
    """Milli-cores from which kubelet computes shares: the request, else the limit."""
    asked = container.resources.request(CPU)
    return container_limit(container, spec, CPU) if asked is None else asked


def container_limit(container: ContainerManifest, spec: PodSpecManifest, resource: str) -> int:
    """The container's limit in milli-cores or bytes; without one kubelet uses the whole pod's. 0 for none."""
    return container.resources.limit(resource) or whole(spec).limit(resource) or 0


def memory_left(spec: PodSpecManifest) -> int:
    """Bytes per container of the pod's own request that its containers do not request; kubelet adds them for OOM scores."""
    own = whole(spec).request(MEMORY)
    if not own:
        return 0
    return max(own - _requests(spec, MEMORY), 0) // len(spec.all_containers)


def _requests(spec: PodSpecManifest, resource: str) -> int:
    return _total(spec, lambda c: c.resources.request(resource) or 0)


def _total(spec: PodSpecManifest, of: Callable[[ContainerManifest], int]) -> int:
    """Containers and sidecars run together; an init container runs beside the sidecars that started before it."""
    sidecars = peak = 0
    for container in spec.init_containers:
        if container.sidecar:
            sidecars += of(container)
        else:
            peak = max(peak, sidecars + of(container))
    return max(peak, sidecars + sum(map(of, spec.containers)))
