"""What the runtime tells in Synchronize, part by part, reduced to what is read of it.

A part is up to 4 MiB, and a node may have hundreds of MB of it: a container's environment alone may take 1 MiB. Of each part we keep
copies of the few fields that are read: a message kept out of a part would keep all of that part's memory.
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
        """of all parts as they came"""
        # One message for all: each protobuf message that stands alone has a block of memory of its own.
        self._kept = views.SynchronizeRequest()

    @property
    def pods(self) -> Sequence[views.PodSandbox]:
        """All pods so far. They live as long as one of them is kept."""
        return self._kept.pods

    @property
    def containers(self) -> Sequence[views.Container]:
        """All containers so far, with what is read of them."""
        return self._kept.containers

    def take(self, payload: bytes) -> bool:
        """Take a SynchronizeRequest in; whether more are to come. Raises DecodeError, and then nothing of it is kept."""
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
    if BASELINE_KEY in annotations:  # asked first: reading a key that is not there would add it
        kept.annotations[BASELINE_KEY] = annotations[BASELINE_KEY]
    for mount in message.mounts:
        if may_be_volume(mount.source):
            kept.mounts.add(destination=mount.destination, source=mount.source)
    linux = message.linux
    kept.linux.resources.CopyFrom(linux.resources)
    for device in linux.devices:
        if device.type == BLOCK:
            kept.linux.devices.add().CopyFrom(device)
