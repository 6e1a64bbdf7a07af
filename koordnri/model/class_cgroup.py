"""The cgroups above the pods: one for each of Kubernetes' QoS classes, and the root of all cgroups."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model.qos import KubeQoS

ROOT = "root"
_PREFIX = "class:"


class ClassCgroup(NamedTuple):
    """One of them. Guaranteed's is the root of all pods, in which the other classes' lie."""

    qos: KubeQoS | None
    """None: the root of all cgroups"""
    directory: str

    @property
    def name(self) -> str:
        """The class's, or `root`."""
        return ROOT if self.qos is None else self.qos.value

    @property
    def id(self) -> str:
        """The key of its notes in the ledger and in the state directory, where pods and containers have the runtime's ids."""
        return _PREFIX + self.name


CLASS_IDS = frozenset(ClassCgroup(qos, "").id for qos in (None, *KubeQoS))
"""All ids that there are."""
