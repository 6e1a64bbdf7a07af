"""Receives Synchronize part by part, and keeps only the fields that are read.

A part has up to 4 MiB, and a node may send hundreds of MB: one container's environment may have 1 MiB. The fields are copied, because a
sub-message kept from a part would keep the memory of the whole part.
"""

from __future__ import annotations

from collections.abc import Sequence

from koordnri.cpus.dra import PREFIX as DRA_PREFIX
from koordnri.model.resources import BASELINE_KEY
from koordnri.session.given import BLOCK, may_be_volume
from koordnri.wire import views_pb2 as views


class Intake:
    """The parts of one Synchronize. Used by the thread that reads the socket."""

    def __init__(self) -> None:
        self.parts = 0
        self.received_bytes = 0
        """size of all parts as received"""
        # One message for all, because each separate protobuf message allocates its own block of memory.
        self._kept = views.SynchronizeRequest()

    @property
    def pods(self) -> Sequence[views.PodSandbox]:
        """All pods so far. All stay in memory as long as one of them is referenced."""
        return self._kept.pods

    @property
    def containers(self) -> Sequence[views.Container]:
        """All containers so far, with the fields that are read."""
        return self._kept.containers

    def take(self, payload: bytes) -> bool:
        """Take a SynchronizeRequest. Returns whether more parts follow. Raises DecodeError; then nothing of it is kept."""
        part = views.SynchronizeRequest.FromString(payload)
        self._kept.pods.extend(part.pods)
        for container in part.containers:
            _keep(container, self._kept.containers.add())
        self.parts += 1
        self.received_bytes += len(payload)
        return part.more


def _keep(message: views.Container, kept: views.Container) -> None:
    kept.id = message.id
    kept.pod_sandbox_id = message.pod_sandbox_id
    kept.name = message.name
    kept.state = message.state
    kept.env.extend(variable for variable in message.env if variable.startswith(DRA_PREFIX))
    annotations = message.annotations
    if BASELINE_KEY in annotations:  # checked first, because reading a missing key would add it
        kept.annotations[BASELINE_KEY] = annotations[BASELINE_KEY]
    for mount in message.mounts:
        if may_be_volume(mount.source):
            kept.mounts.add(destination=mount.destination, source=mount.source)
    linux = message.linux
    kept.linux.resources.CopyFrom(linux.resources)
    for device in linux.devices:
        if device.type == BLOCK:
            kept.linux.devices.add().CopyFrom(device)
