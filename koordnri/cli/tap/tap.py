"""One registration with a runtime that only looks. Every request is answered at once and empty, so that nothing changes or waits."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click
from google.protobuf.message import DecodeError, Message

from koordnri.cli.inputs import BAD_INPUT
from koordnri.session.identity import Identity
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.errors import Code
from koordnri.wire.events import LOOKED_AT, METHOD_OF_EVENT, NRIEvent, subscription
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import NEWEST, valid_event_mask

RECV_BYTES = 65536


class Seen(NamedTuple):
    """One request of the runtime."""

    at: str
    """index of the plugin that saw it"""
    method: str
    """CreateContainer, RunPodSandbox, …, by whatever RPC the runtime sent it"""
    message: Message


class TapEnded(click.ClickException):
    """The connection cannot go on. The message says why."""

    exit_code = BAD_INPUT


class Tap:
    """Registers at once; feed it by `receive` whenever its socket is readable. Raises TapEnded when the runtime cannot be reached."""

    def __init__(self, socket_path: str, identity: Identity, events: Iterable[NRIEvent] = LOOKED_AT) -> None:
        self.index = identity.index
        self.synchronized = False
        self._events = tuple(events)
        self._connection = Connection(Side.PLUGIN)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        request = api.RegisterPluginRequest(
            plugin_name=identity.name, plugin_idx=identity.index, NRI_version=f"v{NEWEST}"
        )
        try:
            self._socket.connect(socket_path)
            self._socket.sendall(self._connection.call("RegisterPlugin", request)[1])
        except OSError as error:
            self._socket.close()
            raise TapEnded(f"cannot connect to {socket_path}: {error.strerror or error}") from error

    def fileno(self) -> int:
        """The socket's descriptor, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the registration."""
        self._socket.close()

    def receive(self) -> Iterator[Seen]:
        """Read once, answer, and say what was seen. Raises TapEnded, and RemoteProtocolError for what is no NRI."""
        try:
            data = self._socket.recv(RECV_BYTES)
        except OSError as error:
            raise TapEnded(f"the connection broke: {error.strerror or error}") from error
        if not data:
            raise TapEnded("the runtime closed the connection")
        self._connection.receive_data(data)
        if refusals := self._connection.pop_outgoing():
            self._send(refusals)
        while (event := self._connection.next_event()) is not None:
            if isinstance(event, Reply):
                if event.code != Code.OK:
                    raise TapEnded(f"the runtime refused the registration: {event.text}")
            elif (seen := self._answered(event)) is not None:
                yield seen

    def _answered(self, request: Request) -> Seen | None:
        try:
            message = PLUGIN_METHODS[request.method].request.FromString(request.payload)
        except DecodeError as error:
            raise TapEnded(f"{request.method}: cannot decode {len(request.payload)} bytes: {error}") from error
        self._send(self._connection.reply(request, self._reply(message)))
        if isinstance(message, api.ConfigureRequest):
            return None
        if isinstance(message, api.SynchronizeRequest):
            self.synchronized = not message.more
        return Seen(self.index, _method(request.method, message), message)

    def _reply(self, message: Message) -> Message | None:
        if isinstance(message, api.ConfigureRequest):
            known = valid_event_mask(RuntimeInfo.of(message).nri)
            return api.ConfigureResponse(events=subscription(self._events, known))
        if isinstance(message, api.SynchronizeRequest) and message.more:
            return api.SynchronizeResponse(more=True)
        return None

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise TapEnded(f"the connection broke: {error.strerror or error}") from error


def _method(method: str, message: Message) -> str:
    """The event's own RPC, where an older runtime sent a StateChange."""
    if isinstance(message, api.StateChangeEvent):
        known = {int(event): name for event, name in METHOD_OF_EVENT.items()}
        return known.get(message.event, f"event {message.event}")
    return method
