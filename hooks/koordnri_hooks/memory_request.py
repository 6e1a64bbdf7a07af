"""What a pod and its containers request of memory, in bytes: what memory.min, low and high are computed from.

NRI does not tell requests. They are known for BE (batch-memory), for Guaranteed (the limit) and BestEffort (none), and for others
once the pod's spec has been read. Where one cannot be known it is None, which is not 0.

A pod's is the sum of its containers' that run at the same time, by the same function, so that what is protected of them fits into what
is protected of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.model import KubeQoS, Pod, QoSClass, quantity_value
from koordnri.model.annotations import BATCH_MEMORY
from koordnri.model.errors import Problem
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri_hooks.batch import MOST, batch_of, batch_table
from koordnri_hooks.phases import most_together

NO_REQUEST = "memory request is not known: NRI does not carry it and the pod's spec has not been read"
_MOST = MOST[BATCH_MEMORY]
_PARSED = "spec: memory requests"


def request_of(pod: Pod, container: str, limit: int) -> int | None:
    """Memory request of one container. `limit`: its memory limit, -1 for none. Raises PodError for a quantity that is none."""
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
    """Memory request of the whole pod. `limit`: of its own cgroup, -1 for none. Raises PodError for the first bad quantity."""
    names: set[str] = set()
    if pod.qos is QoSClass.BE:
        names |= (batch_table(pod, BATCH_MEMORY) or {}).keys()
    if pod.spec is not None:
        names |= pod.spec.containers.keys()
    elif pod.kube_qos is not KubeQoS.BESTEFFORT and not names:
        return limit if pod.kube_qos is KubeQoS.GUARANTEED and limit > 0 else None
    # Of a container that only the batch resources name, they tell all.
    return most_together(pod, {name: request_of(pod, name, 0) or 0 for name in sorted(names)})


def _of_spec(pod: Pod, spec: PodSpec) -> Mapping[str, int | Problem]:
    """Container → its request, or the mistake that it costs; read once, since the pod's class asks for it whenever any pod changes."""
    known = pod.parsed.get(_PARSED)
    if known is None or known[0] is not spec:
        known = pod.parsed[_PARSED] = spec, {name: _requested(name, one) for name, one in spec.containers.items()}
    table: Mapping[str, int | Problem] = known[1]
    return table


def _requested(container: str, spec: ContainerSpec) -> int | Problem:
    """Request of the spec; where only a limit is given, Kubernetes takes that for the request."""
    which = spec.requests if "memory" in spec.requests else spec.limits
    try:
        return min(max(quantity_value(which.get("memory", 0)), 0), _MOST)
    except ValueError as error:
        return Problem(f"spec.containers.{container}: memory: {error}")
