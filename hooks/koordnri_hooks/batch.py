"""Batch resources of a BE pod: what the scheduler counts instead of `cpu` and `memory`, which such a pod does not request.

They come from the pod's spec if that is known and has any, otherwise from the annotation
`node.koordinator.sh/extended-resource-spec`, which a webhook derives from the spec. Source: koordinator.md 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from koordnri.hook import ContainerContext, PodContext
from koordnri.model import AnnotationError, Field, Pod, quantity_milli, quantity_value
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC
from koordnri.model.errors import PodError, Problem
from koordnri.model.pod import ContainerSpec

MOST = {BATCH_CPU: 10**9, BATCH_MEMORY: 2**63 - 1}
"""Largest amount accepted. batch-cpu: a million cores; the kernel refuses a quota of 2^44 µs, and the container with it."""

_NATIVE = {BATCH_CPU: ("cpu", quantity_milli), BATCH_MEMORY: ("memory", quantity_value)}
"""Batch resource → Kubernetes' own resource, and the parser of its quantity in the batch resource's unit."""

Quantities = Mapping[str, str | int | float]


class Batch(NamedTuple):
    """One batch resource of one container, in milli-cores or bytes; None when the pod does not name it."""

    request: int | None
    limit: int | None


Table = Mapping[str, Batch | Problem]
"""Container → its amounts, or its mistake: a bad number of one container costs no other container anything."""


def batch_table(pod: Pod, resource: str) -> Table | None:
    """One batch resource of the pod's containers, parsed once; None when the pod has no batch resources at all.

    Raises AnnotationError when the whole annotation cannot be parsed.
    """
    known = pod.parsed.get(resource)
    if known is not None and known[0] is pod.spec:
        table: Table | None = known[1]
    else:
        table = _read(pod, resource)
        pod.parsed[resource] = (pod.spec, table)
    return table


def batch_of(pod: Pod, container: str, resource: str) -> Batch | None:
    """One batch resource of one container; None when the pod has none, or none for this container. Raises PodError."""
    table = batch_table(pod, resource)
    found = None if table is None else table.get(container)
    if isinstance(found, Problem):
        raise found.error()
    return found


def batches_of(pod: Pod, resource: str) -> dict[str, Batch]:
    """Container → one batch resource, of all containers that have it; {} when none has. Raises PodError for the first bad one."""
    found = {}
    for name, batch in (batch_table(pod, resource) or {}).items():
        if isinstance(batch, Problem):
            raise batch.error()
        found[name] = batch
    return found


def overhead_of(pod: Pod, resource: str) -> int:
    """The pod's RuntimeClass overhead: milli-cores or bytes; 0 when there is none, or the spec is not known.

    Koordinator's webhook converts it into batch resources. Without the webhook it is CPU and memory, as in the RuntimeClass.
    Raises PodError.
    """
    if pod.spec is None or not pod.spec.overhead:
        return 0
    overhead = pod.spec.overhead
    if resource in overhead:
        return _amount(None, "spec.overhead", overhead, resource) or 0
    native, read = _NATIVE[resource]
    try:
        amount = read(overhead.get(native, 0))
    except ValueError as error:
        raise PodError(f"spec.overhead.{native}: {error}") from None
    return min(max(amount, 0), MOST[resource])


def leave(ctx: ContainerContext | PodContext, error: PodError, *these: Field) -> None:
    """Batch resources cannot be parsed: report that, and leave the fields that they decide unchanged."""
    ctx.error(error)
    if ctx.policy.hook_mode(ctx.hook) == "enforce":
        ctx.undecided |= frozenset(these)


def _read(pod: Pod, resource: str) -> Table | None:
    if pod.spec is not None:
        carriers = {name: c for name, c in pod.spec.containers.items() if _carries(c)}
        if carriers:
            return {
                name: _batch(None, f"spec.containers.{name}", c.requests, c.limits, resource)
                for name, c in carriers.items()
            }
    written = EXTENDED_RESOURCE_SPEC.of(pod)
    if written is None or not written.containers:
        return None
    key = EXTENDED_RESOURCE_SPEC.key
    return {
        name: _batch(key, f"containers.{name}", c.requests, c.limits, resource)
        for name, c in written.containers.items()
    }


def _carries(container: ContainerSpec) -> bool:
    return any(
        r in quantities for r in (BATCH_CPU, BATCH_MEMORY) for quantities in (container.requests, container.limits)
    )


def _batch(key: str | None, path: str, requests: Quantities, limits: Quantities, resource: str) -> Batch | Problem:
    try:
        return Batch(
            _amount(key, f"{path}.requests", requests, resource),
            _amount(key, f"{path}.limits", limits, resource),
        )
    except PodError as error:
        return Problem.of(error)


def _amount(key: str | None, path: str, quantities: Quantities, resource: str) -> int | None:
    text = quantities.get(resource)
    if text is None:
        return None
    try:
        amount = quantity_value(text)
        if not 0 <= amount <= MOST[resource]:
            raise ValueError(f'expected 0..{MOST[resource]}, got "{str(text)[:60]}"')
    except ValueError as error:
        problem = f'{path}["{resource}"]: {error}'
        raise (PodError(problem) if key is None else AnnotationError(key, problem)) from None
    return amount
