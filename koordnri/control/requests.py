"""What a pod requests, for controllers: they compare with it, and nothing is set from it. A mistake in it counts as no request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from koordnri.model import AnnotationError, Pod, QoSClass, quantity_milli, quantity_value
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC
from koordnri.model.convert import SHARES_PER_CPU
from koordnri.model.phases import most_together
from koordnri.state.entry import Entry

_LEAST_SHARES = 2
"""cpu.shares that kubelet asks for when the pod requests no CPU."""
_Quantities = Mapping[str, str | int | float]


def cpu_request_milli(pod: Pod, entries: Iterable[Entry]) -> int:
    """Requested CPU; of BE pods their batch-cpu. Without the spec: from the shares that kubelet asked for."""
    if pod.qos is QoSClass.BE and (batch := _batch(pod, BATCH_CPU)):
        return batch
    if pod.spec is not None:
        return _of_spec(pod, "cpu", quantity_milli)
    shares = (entry.baseline.cpu_shares or 0 for entry in entries)
    return sum(round(s * 1000 / SHARES_PER_CPU) for s in shares if s > _LEAST_SHARES)


def memory_request_bytes(pod: Pod) -> int:
    """Requested memory; of BE pods their batch-memory. 0: none, or unknown."""
    if pod.qos is QoSClass.BE and (batch := _batch(pod, BATCH_MEMORY)):
        return batch
    return 0 if pod.spec is None else _of_spec(pod, "memory", quantity_value)


def cpu_limit_milli(pod: Pod, entry: Entry) -> int | None:
    """CPU limit of a container: kubelet's quota, else its spec's (batch-cpu for BE); None: no limit.

    While a resize in place is deferred, or for good when it is infeasible, the spec has a limit that nobody has granted.
    """
    quota_us = entry.baseline.cpu_quota
    if quota_us is not None and quota_us > 0:
        return quota_us * 1000 // entry.baseline.period_us
    if pod.spec is not None and (spec := pod.spec.containers.get(entry.name)) is not None:
        name, read = (BATCH_CPU, quantity_value) if BATCH_CPU in spec.limits else ("cpu", quantity_milli)
        if limit := amount_of(spec.limits, name, read):
            return limit
    return None


def _batch(pod: Pod, resource: str) -> int:
    if pod.spec is not None:
        amounts = {name: amount_of(c.requests, resource, quantity_value) for name, c in pod.spec.containers.items()}
        if any(amounts.values()):
            return most_together(pod, amounts)
    try:
        written = EXTENDED_RESOURCE_SPEC.of(pod)
    except AnnotationError:
        return 0
    if written is None:
        return 0
    return most_together(
        pod, {name: amount_of(c.requests, resource, quantity_value) for name, c in written.containers.items()}
    )


def _of_spec(pod: Pod, resource: str, read: Callable[[str | int | float], int]) -> int:
    if pod.spec is None:
        return 0
    if whole := amount_of(pod.spec.requests, resource, read):
        return whole
    return most_together(pod, {name: amount_of(c.requests, resource, read) for name, c in pod.spec.containers.items()})


def amount_of(quantities: _Quantities, resource: str, read: Callable[[str | int | float], int]) -> int:
    """0: none, or it is no quantity."""
    try:
        return max(read(quantities.get(resource, 0)), 0)
    except ValueError:
        return 0
