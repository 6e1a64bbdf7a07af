"""Kubernetes' QoS class and the sums of a pod, from its spec.

Sources: kubernetes pkg/apis/core/v1/helper/qos (ComputePodQOS), k8s.io/component-helpers/resource (PodRequests, PodLimits),
pkg/kubelet/cm (ResourceConfigForPod).
"""

from __future__ import annotations

from collections.abc import Callable

from koordnri.kubelet.manifest import CPU, MEMORY, ContainerManifest, PodSpecManifest, ResourceRequirements
from koordnri.model import KubeQoS

_COUNTED = (CPU, MEMORY)


def kube_qos(spec: PodSpecManifest) -> KubeQoS:
    """Guaranteed: every container, init ones included, has limits of CPU and memory that equal its requests.

    Where the pod has resources of its own, those decide instead. BestEffort: nobody asks for either.
    """
    own = spec.resources
    if own is not None and any(own.request(r) for r in _COUNTED):
        return KubeQoS.GUARANTEED if _guaranteed(own) else KubeQoS.BURSTABLE
    asked = [c.resources for c in spec.all_containers]
    if not any(a.request(r) for a in asked for r in _COUNTED):
        return KubeQoS.BESTEFFORT
    return KubeQoS.GUARANTEED if all(map(_guaranteed, asked)) else KubeQoS.BURSTABLE


def _guaranteed(asked: ResourceRequirements) -> bool:
    return all(asked.limit(r) and asked.limit(r) == asked.request(r) for r in _COUNTED)


def pod_request(spec: PodSpecManifest, resource: str) -> int:
    """Milli-cores or bytes that the pod requests; 0 for none."""
    own = None if spec.resources is None else spec.resources.request(resource)
    return _total(spec, lambda c: c.resources.request(resource) or 0) if own is None else own


def pod_limit(spec: PodSpecManifest, resource: str) -> int:
    """Limit of the pod's own cgroup; 0 for none, which it is as soon as one container has none."""
    own = None if spec.resources is None else spec.resources.limit(resource)
    if own is not None:
        return own
    if not all(c.resources.limit(resource) for c in spec.all_containers):
        return 0
    return _total(spec, lambda c: c.resources.limit(resource) or 0)


def _total(spec: PodSpecManifest, of: Callable[[ContainerManifest], int]) -> int:
    """Containers and sidecars run together; an init container runs beside the sidecars that were started before it."""
    sidecars = peak = 0
    for container in spec.init_containers:
        if container.sidecar:
            sidecars += of(container)
        else:
            peak = max(peak, sidecars + of(container))
    return max(peak, sidecars + sum(map(of, spec.containers)))
