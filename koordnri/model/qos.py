"""Koordinator's QoS classes, and Kubernetes' QoS classes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

QOS_LABEL = "koordinator.sh/qosClass"


class QoSClass(StrEnum):
    """Koordinator's class of a pod, from its label. Letter case counts; any other text is NONE, as in koordlet."""

    LSE = "LSE"
    """Exclusive CPUs, shared with nobody, batch work included"""
    LSR = "LSR"
    """Exclusive CPUs; batch work may use their idle time"""
    LS = "LS"
    """the share pool"""
    BE = "BE"
    """batch resources: what the others leave unused"""
    SYSTEM = "SYSTEM"
    """node agents"""
    NONE = ""

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> QoSClass:
        """The class in the labels; NONE when there is none, or the value is not one of the five."""
        return _BY_LABEL.get(labels.get(QOS_LABEL, ""), cls.NONE)


class KubeQoS(StrEnum):
    """Kubernetes' QoS class, which decides the pod's parent cgroup."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BESTEFFORT = "BestEffort"

    @classmethod
    def of_cgroup(cls, cgroup_parent: str) -> KubeQoS:
        """The class by the pod's cgroup parent (`/kubepods/burstable/pod…` or `kubepods-burstable-pod….slice`).

        The part of the path that names the pod is ignored: a static pod's uid may be any text.
        """
        head = cgroup_parent.split("/pod", 1)[0].split("-pod", 1)[0]
        if "besteffort" in head:
            return cls.BESTEFFORT
        return cls.BURSTABLE if "burstable" in head else cls.GUARANTEED


_BY_LABEL = {c.value: c for c in QoSClass}

DEFAULT_CLASS = {
    KubeQoS.GUARANTEED: QoSClass.LSR,
    KubeQoS.BURSTABLE: QoSClass.LS,
    KubeQoS.BESTEFFORT: QoSClass.BE,
}
"""koordlet's class for an unlabelled pod, used by memory QoS and resctrl; other hooks see NONE."""
