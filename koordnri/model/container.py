"""A container as the runtime reports it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from koordnri.model.resources import Resources


class Event(StrEnum):
    """The occasion of a decision."""

    CREATE = "create"
    UPDATE = "update"
    SYNC = "sync"


class Container:
    """One container of a pod. `baseline`: what kubelet asked for, never what an adjustment made of it."""

    __slots__ = ("baseline", "env", "id", "name", "pod_id", "stored")

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
