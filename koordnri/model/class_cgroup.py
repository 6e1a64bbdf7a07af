"""The cgroups outside of pods that are decided: one for each of Kubernetes' QoS classes, the root of all, and host applications'."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model.qos import KubeQoS

ROOT = "root"
_PREFIX = "class:"
HOST_PREFIX = "host:"
"""Names and keys of host applications begin with it."""


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
BEST_EFFORT_ID = ClassCgroup(KubeQoS.BESTEFFORT, "").id


class HostCgroup(NamedTuple):
    """The cgroup of an application that runs on the node outside of pods."""

    application: str
    """its name in the policy"""
    directory: str

    @property
    def name(self) -> str:
        """`host:` and the application's name; no class has such a name."""
        return f"{HOST_PREFIX}{self.application}"

    @property
    def id(self) -> str:
        """Its key in the ledger and the state directory: the directory, since the policy may name the application no longer."""
        return f"{HOST_PREFIX}{self.directory}"

    @classmethod
    def of_id(cls, owner_id: str) -> HostCgroup | None:
        """Inverse of `id`, with the last part of the directory for a name; None for the key of another owner."""
        directory = owner_id.removeprefix(HOST_PREFIX)
        return None if directory == owner_id else cls(directory.rpartition("/")[2], directory)


OuterCgroup = ClassCgroup | HostCgroup
"""A cgroup outside of pods."""


def is_outer(owner_id: str) -> bool:
    """Whether a key of the ledger is that of a cgroup outside of pods."""
    return owner_id in CLASS_IDS or owner_id.startswith(HOST_PREFIX)
