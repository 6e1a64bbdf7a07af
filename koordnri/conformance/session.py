"""A handshake with the plugin, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from koordnri.conformance.link import Link
from koordnri.conformance.subject import Subject
from koordnri.conformance.violation import Violation
from koordnri.runtime.identity import version_with
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import DEDICATED_METHODS, METHOD_OF_EVENT, NRIEvent, events_of
from koordnri.wire.services import RUNTIME_SERVICE
from koordnri.wire.versions import Feature, Version, has, valid_event_mask

M = TypeVar("M", bound=Message)
_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
_INDEX = re.compile(r"[0-9]{2}")
REQUEST_TIMEOUT_MS = 2000


class Session:
    """One connection of the subject after `open`."""

    def __init__(self, subject: Subject, version: Version) -> None:
        self.subject = subject
        self.version = version
        self.link: Link = subject.link()
        self.events: tuple[NRIEvent, ...] = ()
        """what it subscribed to, of what this version has"""
        self.unknown_events = 0
        """mask of what it subscribed to beyond that"""

    def register(self) -> int:
        """Take the registration. Returns the stream to answer it on. Raises Violation."""
        stream, request = self.link.next_call("a call of RegisterPlugin")
        if (request.service, request.method) != (RUNTIME_SERVICE, "RegisterPlugin"):
            raise Violation(f"expected RegisterPlugin first, got {request.service}.{request.method}")
        found = decoded(api.RegisterPluginRequest.FromString, request.payload, "RegisterPlugin")
        if not self.subject.launched or found.plugin_name or found.plugin_idx:
            if not _NAME.fullmatch(found.plugin_name):
                raise Violation(f'expected a name of A-Z, a-z, 0-9, "-", "_", "." and "+", got "{found.plugin_name}"')
            if not _INDEX.fullmatch(found.plugin_idx):
                raise Violation(f'expected an index of two digits, got "{found.plugin_idx}"')
        return stream

    def configure(self) -> None:
        """Send Configure, and note what it subscribes to. Raises Violation."""
        request = api.ConfigureRequest(
            runtime_name="containerd", runtime_version=version_with("containerd", self.version)
        )
        if has(self.version, Feature.TIMEOUTS_SENT):
            request.registration_timeout, request.request_timeout = 5000, REQUEST_TIMEOUT_MS
        if has(self.version, Feature.VERSION_EXCHANGE):
            request.NRI_version = f"v{self.version}"
        mask = decoded(api.ConfigureResponse.FromString, self.link.call("Configure", request), "Configure").events
        valid = valid_event_mask(self.version)
        self.unknown_events = mask & ~valid
        self.events = events_of(mask & valid or valid)  # 0 subscribes to everything

    def synchronize(self, pods: int = 1) -> api.SynchronizeResponse:
        """Send Synchronize in one part. Raises Violation."""
        request = api.SynchronizeRequest(pods=[pod(str(n)) for n in range(pods)])
        request.containers.extend(container(str(n), str(n)) for n in range(pods))
        return decoded(api.SynchronizeResponse.FromString, self.link.call("Synchronize", request), "Synchronize")

    def open(self) -> Session:
        """The whole handshake. Raises Violation."""
        self.link.reply(self.register())
        self.configure()
        self.synchronize()
        return self

    def event(self, event: NRIEvent, change: Callable[[Any], None] = lambda message: None) -> bytes:
        """Send an event as this version does. Returns the answer's payload. Raises Violation."""
        method, message = request_of(event, self.version)
        change(message)
        return self.link.call(method, message, event.name)


def decoded(decode: Callable[[bytes], M], payload: bytes, what: str) -> M:
    """A message. Raises Violation when it is none."""
    try:
        return decode(payload)
    except DecodeError as error:
        raise Violation(f"{what}: expected its message, got something else: {error}") from None


def pod(number: str = "p") -> api.PodSandbox:
    """A sandbox with all that a runtime reports."""
    message = api.PodSandbox(
        id=f"sandbox-{number}", name=f"pod-{number}", uid=f"uid-{number}", namespace="default", pid=42
    )
    message.labels["app"] = "conformance"
    message.annotations["example.org/key"] = "value"
    message.linux.cgroup_parent = f"/kubepods/burstable/pod-uid-{number}"
    message.linux.namespaces.add(type="network", path="/proc/42/ns/net")
    return message


def container(number: str = "c", of: str = "p") -> api.Container:
    """A container with all that a runtime reports."""
    message = api.Container(id=f"container-{number}", pod_sandbox_id=f"sandbox-{of}", name="main", args=["sleep", "1"])
    message.state = api.CONTAINER_RUNNING
    message.env.append("PATH=/bin")
    message.mounts.add(destination="/proc", type="proc", source="proc")
    message.linux.cgroups_path = f"/kubepods/burstable/pod-uid-{of}/container-{number}"
    message.linux.resources.cpu.shares.value = 512
    message.linux.resources.memory.limit.value = 1 << 28
    return message


def request_of(event: NRIEvent, version: Version) -> tuple[str, Any]:
    """(method, message) of an event, as a runtime of this version sends it."""
    if event in DEDICATED_METHODS and not has(version, Feature.DEDICATED_RPCS):
        message = api.StateChangeEvent(event=int(event), pod=pod())  # type: ignore[arg-type]  # its type is an enum's
        if "POD" not in event.name:
            message.container.CopyFrom(container())
        return "StateChange", message
    method = METHOD_OF_EVENT[event]
    made = getattr(api, f"{method}Request")()
    made.pod.CopyFrom(pod())
    if hasattr(made, "container"):
        made.container.CopyFrom(container())
    return method, made
