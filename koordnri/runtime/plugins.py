"""The plugins that are registered, and how an event reaches them: one after the other, each by the transport it understands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from google.protobuf.message import Message

from koordnri.runtime.errors import PeerGone
from koordnri.runtime.identity import RuntimeIdentity
from koordnri.runtime.peer import Peer
from koordnri.wire import api_pb2 as api
from koordnri.wire.errors import Code, MessageTooLarge, RemoteStatus
from koordnri.wire.events import DEDICATED_METHODS, METHOD_OF_EVENT, Event
from koordnri.wire.versions import Feature, has


class Call(NamedTuple):
    """One call of a plugin, for those who measure."""

    plugin: str
    """index-name"""
    event: str
    """name of the event, or the method of the handshake"""
    duration_s: float
    """from before the request was encoded until its reply was read"""
    error: str
    """"" when it was answered well"""


class EventFailed(Exception):
    """A plugin answered an event with an error. What that costs depends on event and runtime."""


class Plugins:
    """In the order of their indices. Used under the runtime's lock."""

    def __init__(self, identity: RuntimeIdentity, note: Callable[[str], None]) -> None:
        self.calls: list[Call] = []
        self._identity = identity
        self._note = note
        self._peers: list[Peer] = []

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers))

    def add(self, peer: Peer) -> None:
        """It is synchronized and hears of events from now on."""
        self.prune()
        self._peers = sorted([*self._peers, peer], key=lambda p: p.index)

    def prune(self) -> None:
        """Forget those whose connection is closed, as is done after each event."""
        self._peers = [p for p in self._peers if not p.closed]

    def ask(self, peer: Peer, event: Event, request: Message) -> Any:
        """Tell one plugin; its reply's message, None when it does not want to know, or has no say any more (it is closed then).

        Raises EventFailed: later plugins are not asked.
        """
        if peer.closed or not peer.events & event.bit:
            return None
        method = METHOD_OF_EVENT[event]
        try:
            if event in DEDICATED_METHODS:
                method, payload = self._notify(peer, event, request)
            else:
                payload = self._call(peer, event.name, method, request)
            return peer.decode(method, payload)
        except RemoteStatus as status:
            raise EventFailed(status.text) from status
        except PeerGone as gone:
            self._note(f"closing plugin {peer.full_name}, failed to handle {event.name} request: {gone}")
            peer.close()
            return None
        except MessageTooLarge as error:
            raise EventFailed(str(error)) from error

    def notify(self, event: Event, request: Message) -> None:
        """Tell all plugins in their order. Raises EventFailed as `ask` does."""
        try:
            for peer in self:
                self.ask(peer, event, request)
        finally:
            self.prune()

    def _notify(self, peer: Peer, event: Event, request: Message) -> tuple[str, bytes]:
        if has(self._identity.nri, Feature.DEDICATED_RPCS) and not peer.funnel:
            method = DEDICATED_METHODS[event]
            try:
                return method, self._call(peer, event.name, method, request)
            except RemoteStatus as status:
                if status.code != Code.UNIMPLEMENTED:
                    raise
            peer.funnel = True
            self._note(
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
