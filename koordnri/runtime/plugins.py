"""The registered plugins, and how an event reaches them: one plugin after the other, each by the RPC that it understands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from google.protobuf.message import Message

from koordnri.runtime.errors import PeerGone, status_text
from koordnri.runtime.identity import RuntimeIdentity
from koordnri.runtime.peer import Peer
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import Code, MessageTooLarge, RemoteStatus
from koordnri.wire.events import DEDICATED_METHODS, METHOD_OF_EVENT, NRIEvent
from koordnri.wire.versions import Feature, has


class Call(NamedTuple):
    """One call of a plugin, for measurements."""

    plugin: str
    """index-name"""
    event: str
    """the event's name, or the handshake's method"""
    duration_s: float
    """from before the request is encoded until the reply is read"""
    error: str
    """"" when the answer was no error"""


class EventFailed(Exception):
    """A plugin answered an event with an error, or not at all and its policy says `fail_request`. What follows depends on event and
    runtime.
    """


class Plugins:
    """All registered plugins, in the order of their indices. Used under the runtime's lock."""

    def __init__(self, identity: RuntimeIdentity, log: Callable[[str], None]) -> None:
        self.calls: list[Call] = []
        self._identity = identity
        self._log = log
        self._peers: list[Peer] = []

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers))

    def add(self, peer: Peer) -> None:
        """Register a synchronized plugin: from now on it gets events."""
        self.prune()
        self._peers = sorted([*self._peers, peer], key=lambda p: p.index)

    def prune(self) -> None:
        """Drop plugins whose connection is closed; done after each event."""
        self._peers = [p for p in self._peers if not p.closed]

    def ask(self, peer: Peer, event: NRIEvent, request: Message) -> Any:
        """Send one plugin an event. Returns the reply's message; None when it did not subscribe, or gave no answer and may be passed over.

        Raises EventFailed; then later plugins are not asked.
        """
        if peer.closed or not peer.events & event.bit:
            return None
        try:
            return self._exchange(peer, event, request)
        except PeerGone as gone:
            self._drop(peer, event, gone)
            if not peer.failure_policy.fail_request:
                return None
            text = f"plugin {peer.full_name} failed to handle {METHOD_OF_EVENT[event]} request: {gone.cause}"
            raise EventFailed(text) from gone

    def validate(self, peer: Peer, request: api.ValidateContainerAdjustmentRequest) -> None:
        """Ask a validator. Raises EventFailed when it rejects, and when it gives no answer: validation fails closed."""
        if peer.closed and has(self._identity.nri, Feature.CLOSED_IS_SKIPPED):
            return
        event = NRIEvent.VALIDATE_CONTAINER_ADJUSTMENT
        try:
            answer: api.ValidateContainerAdjustmentResponse = self._exchange(peer, event, request)
        except EventFailed as error:
            raise EventFailed(f"validator plugin {peer.full_name} failed: {error}") from error
        except PeerGone as gone:
            self._drop(peer, event, gone)
            raise EventFailed(f"validator plugin {peer.full_name} failed: {gone.cause}") from gone
        if answer.reject:
            reason = answer.reason or "unknown rejection reason"
            raise EventFailed(f'validator "{peer.full_name}" rejected container adjustment, reason: {reason}')

    def _drop(self, peer: Peer, event: NRIEvent, gone: PeerGone) -> None:
        if not (gone.late and peer.failure_policy.keep_connected):
            self._log(f"closing plugin {peer.full_name}, failed to handle {METHOD_OF_EVENT[event]} request: {gone}")
            peer.close()

    def _exchange(self, peer: Peer, event: NRIEvent, request: Message) -> Any:
        """Raises EventFailed when the answer is an error, PeerGone when there is none."""
        method = METHOD_OF_EVENT[event]
        try:
            if event in DEDICATED_METHODS:
                method, payload = self._notify(peer, event, request)
            else:
                payload = self._call(peer, event.name, method, request)
            return peer.decode(method, payload)
        except RemoteStatus as status:
            raise EventFailed(status_text(status)) from status
        except MessageTooLarge as error:
            raise EventFailed(str(error)) from error

    def notify(self, event: NRIEvent, request: Message) -> None:
        """Send all plugins an event, in their order. Raises EventFailed as `ask` does."""
        try:
            for peer in self:
                self.ask(peer, event, request)
        finally:
            self.prune()

    def _notify(self, peer: Peer, event: NRIEvent, request: Message) -> tuple[str, bytes]:
        if has(self._identity.nri, Feature.DEDICATED_RPCS) and not peer.funnel:
            method = DEDICATED_METHODS[event]
            try:
                return method, self._call(peer, event.name, method, request)
            except RemoteStatus as status:
                if status.code != Code.UNIMPLEMENTED:
                    raise
            peer.funnel = True
            self._log(
                f"plugin {peer.full_name} does not implement {method}: all such events go by StateChange from now on"
            )
        change = api.StateChangeEvent(event=int(event), pod=request.pod)  # type: ignore[arg-type, attr-defined]  # numbers are the enum's; every such request has a pod
        if "container" in request.DESCRIPTOR.fields_by_name:
            change.container.CopyFrom(request.container)  # type: ignore[attr-defined]  # checked by its descriptor
        return "StateChange", self._call(peer, event.name, "StateChange", change)

    def _call(self, peer: Peer, event: str, method: str, request: Message) -> bytes:
        started, error = time.perf_counter(), ""
        try:
            return peer.call(method, request, self._identity.request_timeout_s)
        except (RemoteStatus, PeerGone) as failure:
            error = str(failure)
            raise
        finally:
            ended = time.perf_counter() if error else peer.last_reply_s
            self.calls.append(Call(peer.full_name, event, ended - started, error))
