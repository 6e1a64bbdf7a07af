"""A container as the runtime reports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from koordnri.model.resources import Resources


class Event(StrEnum):
    """The occasion of a decision."""

    CREATE = "create"
    UPDATE = "update"
    SYNC = "sync"


class MountLike(Protocol):
    """A mount of the runtime's request. It is not converted, because a container has dozens and few are asked for one of them."""

    @property
    def destination(self) -> str:
        """Its path in the container."""

    @property
    def source(self) -> str:
        """What is mounted."""

    @property
    def type(self) -> str:
        """Kind of file system."""

    @property
    def options(self) -> Iterable[str]:
        """As of mount(8)."""


class CreatedLike(Protocol):
    """A container of the runtime's request. It is not converted either."""

    @property
    def args(self) -> Sequence[str]:
        """The command and its arguments."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its own, not those of the pod."""


class Creation(NamedTuple):
    """What the runtime is about to create a container with, before any plugin's adjustment. Only for the time of its decision: it
    refers to the request. Every creation makes one while a policy asks for it, so it holds only what costs nothing to make."""

    container: CreatedLike
    request: bytes
    read_mounts: Callable[[bytes], Sequence[MountLike]]

    def mounts(self) -> Sequence[MountLike]:
        """What is mounted into it: read of the request now, and each time."""
        return self.read_mounts(self.request)


class Container:
    """One container of a pod. `baseline`: what kubelet asked for, never what an adjustment made of it."""

    __slots__ = ("baseline", "creation", "env", "id", "name", "pod_id", "stored")

    def __init__(
        self,
        id: str,
        name: str,
        pod_id: str,
        baseline: Resources,
        stored: Resources | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.pod_id = pod_id
        self.baseline = baseline
        self.stored = baseline if stored is None else stored
        """resources in the runtime's stored spec: the baseline at creation, later including our adjustments"""
        self.env = env
        self.creation: Creation | None = None
        """only at its creation, and only if the policy switches something on that asks for it"""
