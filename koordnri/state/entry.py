"""One container in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koordnri.model import Container, Resources


class Entry:
    """Its pod, its baseline, what was sent to the runtime, what its files have."""

    __slots__ = (
        *("baseline", "drifted", "ended", "files", "id", "name", "pod_id", "sent", "started", "under", "unread"),
        "withheld",
    )

    def __init__(self, id: str, name: str, pod_id: str, baseline: Resources) -> None:
        self.id = id
        self.name = name
        self.pod_id = pod_id
        self.baseline = baseline
        self.sent: dict[str, tuple[Any, str]] = {}
        """field name → (value, route) as last sent to the runtime: `adjust`, `reply` or `record`. A setting with route `write` is here
        too, until its file is written."""
        self.files: dict[str, Any] = {}
        """field name → value that its file had when the reconciler last read it"""
        self.unread: Mapping[str, Any] = {}
        """field name → last known value of a file that must be read again, because the runtime may have written its stored spec. Where
        `files` has the field too, that value is newer"""
        self.drifted: frozenset[str] = frozenset()
        """fields whose file somebody else wrote. If they did so through the runtime, it has their value stored"""
        self.started = True
        """False between creation and start: meanwhile the OCI runtime makes the cgroup with the values that we sent"""
        self.withheld = False
        """whether files wait for its start: a pass left them, because the OCI runtime was making the cgroup, or a controller wants them"""
        self.ended = False
        """whether its process has ended; kubelet may create the container again under another id"""
        self.under: object = None
        """the snapshot of the decision at its creation"""

    @property
    def container(self) -> Container:
        """The container as decisions read it."""
        return Container(self.id, self.name, self.pod_id, self.baseline)
