"""The cgroups above the pods: one for each of Kubernetes' QoS classes, and the root of all cgroups."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model.qos import KubeQoS

ROOT = "root"
_PREFIX = "class:"


class ClassCgroup(NamedTuple):
    """A cgroup above the pods. Guaranteed's is the cgroup of all pods, which contains those of the other classes."""

    qos: KubeQoS | None
    """None: the root of all cgroups"""
    directory: str

    @property
    def name(self) -> str:
        """Name of the class, or `root`."""
        return ROOT if self.qos is None else self.qos.value

    @property
    def id(self) -> str:
        """Its key in the ledger and the state directory, where pods and containers have the runtime's ids."""
        return _PREFIX + self.name


CLASS_IDS = frozenset(ClassCgroup(qos, "").id for qos in (None, *KubeQoS))
"""All such ids."""
