"""Koordinator's priority classes. Source: apis/extension in Koordinator."""

from __future__ import annotations

from enum import StrEnum

from koordnri.model.pod import Pod
from koordnri.model.qos import QoSClass

CLASS_LABEL = "koordinator.sh/priority-class"
SUB_PRIORITY_LABEL = "koordinator.sh/priority"
"""A number that orders pods of one class."""
CRITICAL = 2_000_000_000
"""Priority of Kubernetes' system-cluster-critical; system-node-critical has more, and no other class may have as much."""


class PriorityClass(StrEnum):
    """What a pod's work is worth, highest first."""

    PROD = "koord-prod"
    MID = "koord-mid"
    BATCH = "koord-batch"
    FREE = "koord-free"


_RANGES = (
    (PriorityClass.PROD, 9000, 9999),
    (PriorityClass.MID, 7000, 7999),
    (PriorityClass.BATCH, 5000, 5999),
    (PriorityClass.FREE, 3000, 3999),
)
_BY_LABEL = {one.value: one for one in PriorityClass}
_USUAL = {PriorityClass.PROD: 9500, PriorityClass.MID: 7500, PriorityClass.BATCH: 5500, PriorityClass.FREE: 3500}


def priority_class(pod: Pod, priority: int | None) -> PriorityClass:
    """By its label, else by `spec.priority`, else BATCH for BE pods and Kubernetes' BestEffort pods, and PROD for all others."""
    labelled = _BY_LABEL.get(pod.labels.get(CLASS_LABEL, ""))
    if labelled is not None:
        return labelled
    for name, low, high in _RANGES:
        if priority is not None and low <= priority <= high:
            return name
    return PriorityClass.BATCH if pod.qos_or_default is QoSClass.BE else PriorityClass.PROD


def priority_value(pod: Pod, priority: int | None) -> int:
    """`spec.priority`; where it is 0 or missing, which is what pods without a PriorityClass have, the usual one of the pod's class."""
    return priority or _USUAL[priority_class(pod, priority)]


def sub_priority(pod: Pod, otherwise: int) -> int:
    """The label's number; `otherwise` when there is none, or it is no number."""
    text = pod.labels.get(SUB_PRIORITY_LABEL, "")
    return int(text) if len(text) < 12 and text.removeprefix("-").isdecimal() and text.isascii() else otherwise
