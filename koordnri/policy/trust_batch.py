"""The trust rule about batch resources of a BE pod that only its annotation `extended-resource-spec` names.

Where Koordinator's webhook wrote the annotation, the pod's spec has the same batch resources, and the annotation is not read. Where the
spec has none, the annotation may be anybody's: it may narrow what the spec says, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, ExtendedContainer
from koordnri.model.errors import AnnotationError
from koordnri.model.pod import ContainerSpec, Pod, PodSpec
from koordnri.model.qos import QoSClass
from koordnri.model.quantity import quantity_milli, quantity_value
from koordnri.model.verdict import Verdict

RULE = "extendedResourceSpec"
KEY = EXTENDED_RESOURCE_SPEC.key
_NATIVE = {BATCH_CPU: ("cpu", quantity_milli), BATCH_MEMORY: ("memory", quantity_value)}
_NOTHING = ContainerSpec({}, {})
_MOST_NAMED = 3
Quantities = Mapping[str, str | int | float]


def written_batch(pod: Pod) -> Mapping[str, ExtendedContainer]:
    """Container → batch resources by the annotation, where hooks read it: of BE pods whose spec has none, as far as it is known."""
    if pod.qos is not QoSClass.BE or KEY not in pod.annotations:
        return {}
    if pod.spec is not None and any(_carries(c) for c in pod.spec.containers.values()):
        return {}
    try:
        written = EXTENDED_RESOURCE_SPEC.of(pod)
    except AnnotationError:  # reported by the hooks
        return {}
    return {} if written is None else written.containers


def narrowed(written: Mapping[str, ExtendedContainer], spec: PodSpec) -> Verdict:
    """The verdict on the annotation of a pod with this spec. A refusal leaves the amounts that raise nothing."""
    if spec.requests or spec.limits:
        why = "its spec has resources of the pod as a whole, beside which nothing is read from the annotation"
        return Verdict(RULE, f"annotation {KEY}", "refused", why, annotations=(KEY,))
    left, above = dict[str, dict[str, dict[str, str | int | float]]](), list[str]()
    for name, its in written.items():
        native = spec.containers.get(name)
        if native is None:
            above.append(f"{name}: the spec has no such container")
            continue
        requests, limits = dict(_requests(its, native)), dict(_limits(its, native))
        left[name] = {"requests": requests, "limits": limits}
        for kind, now, before in (("requests", requests, its.requests), ("limits", limits, its.limits)):
            above += [f"{name}: {kind} {r} {before.get(r, '(none)')!s:.20}" for r in now if now[r] != before.get(r)]
    if not above:
        return Verdict(
            RULE, f"annotation {KEY}", "believed", "it raises nothing above the pod's own requests and limits"
        )
    more = f" and {len(above) - _MOST_NAMED} more" if len(above) > _MOST_NAMED else ""
    why = f"it names more than the spec, whose amounts count instead: {'; '.join(above[:_MOST_NAMED])}{more}"
    text = msgspec.json.encode({"containers": left}).decode()
    return Verdict(RULE, f"annotation {KEY}", "refused", why, instead=((KEY, text),))


def _requests(its: ExtendedContainer, native: ContainerSpec) -> Iterator[tuple[str, str | int | float]]:
    """At most the request of the spec; without one, its limit, as in the API server; else nothing."""
    for resource, text in its.requests.items():
        if resource not in _NATIVE:
            continue
        of_spec = _native(resource, native.requests) or _native(resource, native.limits) or 0
        wanted = _amount(text)
        yield resource, text if wanted is None or wanted <= of_spec else of_spec


def _limits(its: ExtendedContainer, native: ContainerSpec) -> Iterator[tuple[str, str | int | float]]:
    """At most the limit of the spec, if it has one."""
    for resource in _NATIVE:
        text, of_spec = its.limits.get(resource), _native(resource, native.limits)
        if not of_spec:
            if text is not None:
                yield resource, text
            continue
        wanted = 0 if text is None else _amount(text)
        if wanted is None:
            yield resource, text or 0  # unreadable: the hooks report it, and it has no effect
        else:
            yield resource, text if text is not None and 0 < wanted <= of_spec else of_spec


def _carries(container: ContainerSpec) -> bool:
    return any(r in amounts for r in _NATIVE for amounts in (container.requests, container.limits))


def _native(resource: str, quantities: Quantities) -> int:
    """Kubernetes' own amount in the batch resource's unit; 0 for none."""
    native, read = _NATIVE[resource]
    try:
        return max(read(quantities.get(native, 0)), 0)
    except ValueError:  # the API server accepts none
        return 0


def _amount(text: str | int | float) -> int | None:
    try:
        return quantity_value(text)
    except ValueError:
        return None
