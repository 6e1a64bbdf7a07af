"""Settings of a pod without effect: a class that does not exist or is in the wrong place, unknown keys, batch-cpu in the wrong unit. They
cost nothing, but are most likely not meant.

Not for the event path: it parses annotations once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from koordnri.model.annotations import (
    BATCH_CPU,
    DEVICE_ALLOCATED,
    EVICTION_POLICY,
    EVICTION_PRIORITY,
    EXTENDED_RESOURCE_SPEC,
    MAX_CHARACTERS,
    RESCTRL_KEY,
    RESOURCE_STATUS,
    AllocatedDevice,
    ExtendedResourceSpec,
    ResourceStatus,
)
from koordnri.model.errors import AnnotationError
from koordnri.model.go_json import unknown_keys
from koordnri.model.pod import Pod
from koordnri.model.qos import QOS_LABEL, QoSClass
from koordnri.model.quantity import quantity_value
from koordnri.model.resctrl_spec import ResctrlSpec
from koordnri.model.resource_spec import RESOURCE_SPEC, ResourceSpec
from koordnri.policy.errors import shown, shown_key
from koordnri.policy.pod_overrides import ignored_keys

LEAST_MILLI = 50
"""batch-cpu below this probably means whole CPUs: `batch-cpu: 4` is 0.004 CPUs."""
_CLASSES = ", ".join(c.value for c in QoSClass if c is not QoSClass.NONE)
_SHAPES: Mapping[str, Any] = {
    RESOURCE_STATUS.key: ResourceStatus,
    EXTENDED_RESOURCE_SPEC.key: ExtendedResourceSpec,
    DEVICE_ALLOCATED.key: dict[str, list[AllocatedDevice]],
    RESCTRL_KEY: ResctrlSpec,
    RESOURCE_SPEC.key: ResourceSpec,
}
"""Annotation → its type, for those that the policy has no type for."""
_OF_OWNERS = (RESCTRL_KEY, RESOURCE_SPEC.key)
"""Those of them that people write by hand."""
_PARSED = "remarks"
_MOST = 8
_LONGEST_KEY = 60


class PodRemark(NamedTuple):
    """One remark."""

    message: str
    of_owner: bool
    """whether the pod's owner wrote it, and not a Koordinator program, which may be newer than koordnri"""


def pod_remarks(pod: Pod) -> tuple[PodRemark, ...]:
    """The pod's remarks; computed once per pod."""
    known: tuple[PodRemark, ...] | None = pod.parsed.get(_PARSED)
    if known is None:
        known = pod.parsed[_PARSED] = tuple(dict.fromkeys(_remarks(pod)))[:_MOST]
    return known


def _remarks(pod: Pod) -> Iterator[PodRemark]:
    for message in _of_class(pod):
        yield PodRemark(message, of_owner=True)
    for annotation in (EVICTION_POLICY, EVICTION_PRIORITY):
        try:
            annotation.of(pod)
        except AnnotationError as error:
            yield PodRemark(str(error), of_owner=True)
    for key, path, message in ignored_keys(pod):
        yield PodRemark(_unknown(key, path, message), of_owner=True)
    if pod.qos is QoSClass.BE:
        for message in _of_batch_cpu(pod):
            yield PodRemark(message, of_owner=True)
    for key, type_ in _SHAPES.items():
        text = pod.annotations.get(key)
        if text is not None and len(text) <= MAX_CHARACTERS:
            for path in unknown_keys(type_, text):
                yield PodRemark(_unknown(key, path, "unknown key, ignored"), of_owner=key in _OF_OWNERS)


def _unknown(annotation: str, path: str, message: str) -> str:
    return f"annotation {annotation}: {shown_key(path)[:_LONGEST_KEY]}: {message}"


def _of_class(pod: Pod) -> Iterator[str]:
    value = pod.labels.get(QOS_LABEL)
    if value is not None and pod.qos is QoSClass.NONE:
        meant = value.strip().upper()
        hint = f"; did you mean {meant}?" if meant in QoSClass._value2member_map_ and meant else ""
        yield f"label {QOS_LABEL}: expected {_CLASSES}, got {shown(value)}: the pod has no class{hint}"
    if value is not None:
        return
    for kind, table in (("label", pod.labels), ("annotation", pod.annotations)):
        for key in table:
            if _means_class(key):
                where = f"{kind} {shown_key(key)[:_LONGEST_KEY]}"
                yield f"{where}: the class is read from the label {QOS_LABEL} alone: the pod has no class"


def _means_class(key: str) -> bool:
    domain, _, name = key.partition("/")
    return domain.endswith("koordinator.sh") and name.lower().replace("-", "").replace("_", "") in ("qosclass", "qos")


def _of_batch_cpu(pod: Pod) -> Iterator[str]:
    tables: dict[str, Mapping[str, Any]] = {}
    if pod.spec is not None:
        for name, one in pod.spec.containers.items():
            tables |= {f"spec.containers.{name}.requests": one.requests, f"spec.containers.{name}.limits": one.limits}
    try:
        written = EXTENDED_RESOURCE_SPEC.of(pod)
    except AnnotationError:  # reported by the hooks
        written = None
    for name, batch in (written.containers if written else {}).items():
        where = f"annotation {EXTENDED_RESOURCE_SPEC.key}: containers.{name}"
        tables |= {f"{where}.requests": batch.requests, f"{where}.limits": batch.limits}
    for where, quantities in tables.items():
        try:
            milli = quantity_value(quantities.get(BATCH_CPU, 0))
        except ValueError:
            continue
        if 0 < milli < LEAST_MILLI:
            yield f"{where}: {BATCH_CPU} {milli} is {milli / 1000:g} CPUs: it counts thousandths, {milli * 1000} would be {milli} CPUs"
