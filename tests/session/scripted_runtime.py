"""A runtime that does what a test makes it do, step by step: for what no honest runtime does."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from koordnri.wire import api_pb2 as api
from koordnri.wire import ttrpc_pb2
from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.mux import PLUGIN_CONN, frame
from koordnri.wire.services import PLUGIN_METHODS, PLUGIN_SERVICE
from koordnri.wire.ttrpc import REQUEST

WAIT_S = 10.0
WHOLE_STREAM = 101
"""above those of the handshake"""


class Raw:
    """A request's payload that is no message."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def SerializeToString(self) -> bytes:
        return self.payload


class Link:
    """One connection of a plugin. Everything is done by the test's own thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(WAIT_S)
        self.connection = Connection(Side.RUNTIME)

    def next(self) -> Request | Reply | None:
        """What the plugin sends next; None at the end of the connection."""
        while (event := self.connection.next_event()) is None:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.connection.receive_data(data)
        return event

    def send(self, method: str, message: Message | Raw) -> None:
        self.socket.sendall(self.connection.call(method, message)[1])

    def send_whole(self, method: str, message: Message) -> None:
        """As NRI before 0.7 does: in one frame, however large. Once on a connection; its answer is not for `next`."""
        request = ttrpc_pb2.Request(service=PLUGIN_SERVICE, method=method, payload=message.SerializeToString())
        data = request.SerializeToString()
        self.socket.sendall(frame(PLUGIN_CONN, struct.pack(">IIBB", len(data), WHOLE_STREAM, REQUEST, 0) + data))

    def call(self, method: str, message: Message | Raw) -> Reply:
        self.send(method, message)
        reply = self.next()
        assert isinstance(reply, Reply)
        return reply

    def answer_registration(self, refusal: str = "") -> api.RegisterPluginRequest:
        """Take the RegisterPlugin that must come now, and answer it."""
        request = self.next()
        assert isinstance(request, Request)
        assert request.method == "RegisterPlugin"
        if refusal:
            self.socket.sendall(self.connection.reply_error(request, 2, refusal))
        else:
            self.socket.sendall(self.connection.reply(request, None))
        return api.RegisterPluginRequest.FromString(request.payload)

    def configure(self, **fields: Any) -> api.ConfigureResponse:
        reply = self.call("Configure", api.ConfigureRequest(**fields))
        assert reply.code == 0, reply.text
        return api.ConfigureResponse.FromString(reply.payload)

    def synchronize(self, **fields: Any) -> api.SynchronizeResponse:
        reply = self.call("Synchronize", api.SynchronizeRequest(**fields))
        assert reply.code == 0, reply.text
        return api.SynchronizeResponse.FromString(reply.payload)

    def shake_hands(self, **fields: Any) -> None:
        """Register, configure as the newest containerd, synchronize with nothing."""
        self.answer_registration()
        self.configure(
            **{"runtime_name": "containerd", "runtime_version": "v2.4.0", "NRI_version": "v0.12.2", **fields}
        )
        self.synchronize()

    def at_end(self) -> bool:
        """Whether the plugin has closed it; does not wait."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(WAIT_S)

    def close(self) -> None:
        self.socket.close()


class ScriptedRuntime:
    """Listens; `accept` gives the next connection."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(WAIT_S)
        self.links: list[Link] = []

    def accept(self) -> Link:
        link = Link(self.listener.accept()[0])
        self.links.append(link)
        return link

    def __enter__(self) -> ScriptedRuntime:
        return self

    def __exit__(self, *_: object) -> None:
        for link in self.links:
            link.close()
        self.listener.close()


METHODS = [m for m in PLUGIN_METHODS if m not in ("Configure", "Synchronize")]
