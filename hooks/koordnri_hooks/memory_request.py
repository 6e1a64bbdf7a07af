"""Memory requests of a pod and its containers, in bytes. memory.min, low and high are computed from them.

NRI does not carry requests. They are known for BE (batch-memory), Guaranteed (the limit) and BestEffort (none); for others once the
pod's spec is known. None means not known, which is not 0.

A pod's request is its own `spec.resources` (KEP-2837), else the sum over its containers that run at the same time. The same function
computes both, so that the containers' protection fits into the pod's. RuntimeClass overhead is added, as in kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.model import KubeQoS, Pod, QoSClass, quantity_value
from koordnri.model.annotations import BATCH_MEMORY
from koordnri.model.errors import PodError, Problem
from koordnri.model.phases import most_together
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri_hooks.batch import MOST, Quantities, batch_of, batch_table, overhead_of

NO_REQUEST = "memory request is not known: NRI does not carry it and the pod's spec has not been read"
_MOST = MOST[BATCH_MEMORY]
_PARSED = "spec: memory requests"


def request_of(pod: Pod, container: str, limit: int) -> int | None:
    """Memory request of one container. `limit`: its memory limit, -1 for none. Raises PodError for a bad quantity."""
    if pod.qos is QoSClass.BE:
        batch = batch_of(pod, container, BATCH_MEMORY)
        if batch is not None:
            return batch.request or 0
    if pod.kube_qos is KubeQoS.BESTEFFORT:
        return 0
    if pod.spec is not None:
        request = _of_spec(pod, pod.spec).get(container)
        if isinstance(request, Problem):
            raise request.error()
        return request
    return limit if pod.kube_qos is KubeQoS.GUARANTEED and limit > 0 else None


def pod_request(pod: Pod, limit: int) -> int | None:
    """Memory request of the whole pod, with RuntimeClass overhead. `limit`: of its own cgroup, -1 for none. Raises PodError for the
    first bad quantity.
    """
    names: set[str] = set()
    if pod.qos is QoSClass.BE:
        names |= (batch_table(pod, BATCH_MEMORY) or {}).keys()
    if not names and (whole := whole_request(pod)) is not None:
        return whole + overhead_of(pod, BATCH_MEMORY)
    if pod.spec is not None:
        names |= pod.spec.containers.keys()
    elif pod.kube_qos is not KubeQoS.BESTEFFORT and not names:
        return limit if pod.kube_qos is KubeQoS.GUARANTEED and limit > 0 else None
    # For a container that only the batch resources name, these are its request.
    asked = most_together(pod, {name: request_of(pod, name, 0) or 0 for name in sorted(names)})
    return asked + overhead_of(pod, BATCH_MEMORY) if asked else 0


def whole_request(pod: Pod) -> int | None:
    """The pod's own request in `spec.resources`; None when there is none. Raises PodError."""
    if pod.spec is None or "memory" not in pod.spec.requests:
        return None
    return _bytes("spec.resources.requests", pod.spec.requests)


def limit_is_the_pods(pod: Pod, container: str) -> bool:
    """Whether kubelet gave a container the memory limit of the whole pod, because it has none itself. Raises PodError."""
    if pod.spec is None or "memory" not in pod.spec.limits or pod.qos is QoSClass.BE:
        return False
    spec = pod.spec.containers.get(container)
    return spec is not None and not _bytes(f"spec.containers.{container}.limits", spec.limits)


def _of_spec(pod: Pod, spec: PodSpec) -> Mapping[str, int | Problem]:
    """Container → its request, or its mistake. Parsed once, since the pod's class needs it whenever any pod changes."""
    known = pod.parsed.get(_PARSED)
    if known is None or known[0] is not spec:
        known = pod.parsed[_PARSED] = spec, {name: _requested(name, one) for name, one in spec.containers.items()}
    table: Mapping[str, int | Problem] = known[1]
    return table


def _requested(container: str, spec: ContainerSpec) -> int | Problem:
    """Request in the spec. With a limit only, Kubernetes uses that as the request."""
    which = spec.requests if "memory" in spec.requests else spec.limits
    try:
        return _bytes(f"spec.containers.{container}", which)
    except PodError as error:
        return Problem.of(error)


def _bytes(path: str, quantities: Quantities) -> int:
    try:
        return min(max(quantity_value(quantities.get("memory", 0)), 0), _MOST)
    except ValueError as error:
        raise PodError(f"{path}: memory: {error}") from None
