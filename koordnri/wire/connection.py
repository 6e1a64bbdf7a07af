"""The stacked machine: channel bytes in, calls and answers out. The same class serves the plugin's and the runtime's side."""

from __future__ import annotations

from collections import deque
from enum import Enum

from google.protobuf.message import Message

from koordnri.wire import mux, ttrpc
from koordnri.wire.errors import RemoteProtocolError
from koordnri.wire.services import PLUGIN_METHODS, PLUGIN_SERVICE, RUNTIME_METHODS, RUNTIME_SERVICE
from koordnri.wire.ttrpc import Reply, Request

__all__ = ["Connection", "Reply", "Request", "Side"]


class Side(Enum):
    """Which end of the channel we are."""

    PLUGIN = "plugin"
    """Serves Plugin on connection 1, calls Runtime on connection 2."""
    RUNTIME = "runtime"
    """Serves Runtime on connection 2, calls Plugin on connection 1."""


class Connection:
    """One NRI channel. Feed bytes by `receive_data`, take events by `next_event` until it returns None.

    There is no hello and no goodbye on this wire: the end is EOF, which is the caller's business.

    Threads: `receive_data`, `next_event` and `pop_outgoing` belong to the one thread that reads the socket. `reply` and
    `reply_error` touch no state at all, `call` and `forget` only the client's, so all four may be used from other
    threads. The caller holds ONE lock around `call` and the sendall of its bytes, so that stream ids are written in
    order, and the same lock around the sendall of replies and of `pop_outgoing`, so that frames are not torn apart.
    A request must be answered once; who may do it (handler or watchdog) is for the caller to settle.
    """

    __slots__ = (
        "_called",
        "_client",
        "_client_reader",
        "_error",
        "_events",
        "_mux",
        "_outgoing",
        "_served",
        "_server",
        "_server_reader",
    )

    def __init__(
        self,
        side: Side,
        *,
        max_payload_bytes: int = mux.DEFAULT_MAX_PAYLOAD_BYTES,
        max_message_bytes: int = ttrpc.DEFAULT_MAX_RECEIVED_BYTES,
    ) -> None:
        """The caps bound what is accepted from the peer, in one mux frame and in one ttRPC message."""
        if side is Side.PLUGIN:
            self._served, self._called = mux.PLUGIN_CONN, mux.RUNTIME_CONN
            self._server = ttrpc.ServerHalf(PLUGIN_SERVICE, PLUGIN_METHODS)
            self._client = ttrpc.ClientHalf(RUNTIME_SERVICE, RUNTIME_METHODS)
        else:
            self._served, self._called = mux.RUNTIME_CONN, mux.PLUGIN_CONN
            self._server = ttrpc.ServerHalf(RUNTIME_SERVICE, RUNTIME_METHODS)
            self._client = ttrpc.ClientHalf(PLUGIN_SERVICE, PLUGIN_METHODS)
        self._mux = mux.MuxReader(max_payload_bytes)
        self._server_reader = ttrpc.FrameReader(max_message_bytes)
        self._client_reader = ttrpc.FrameReader(max_message_bytes)
        self._events: deque[Request | Reply] = deque()
        self._outgoing: list[bytes] = []
        self._error: RemoteProtocolError | None = None

    def receive_data(self, data: bytes) -> None:
        """Take bytes read from the socket. Never raises for what the peer sent: `next_event` does, in its turn.

        b"" is refused with ValueError: it is what a socket returns at EOF, and EOF must not pass for "no data yet".
        """
        if not data:
            raise ValueError("receive_data(b''): that is EOF, which the caller must handle by closing the connection")
        if self._error is not None:
            return
        for conn, piece in self._mux.feed(data):
            if conn == self._served:
                reader = self._server_reader
                for frame in reader.feed(piece):
                    request = self._server.receive(frame)
                    if isinstance(request, Request):
                        self._events.append(request)
                    elif request is not None:
                        self._outgoing.append(mux.frame(conn, request))
            elif conn == self._called:
                reader = self._client_reader
                for frame in reader.feed(piece):
                    reply = self._client.receive(frame)
                    if reply is not None:
                        self._events.append(reply)
            else:
                continue
            if reader.error is not None:
                self._error = reader.error
                return
        self._error = self._mux.error

    def next_event(self) -> Request | Reply | None:
        """The next call or answer of the peer; None when more data is needed.

        Raises RemoteProtocolError, and again whenever asked, once all events before the violation are taken. Only a
        frame beyond the caps is such a violation; all else that is malformed is answered (`pop_outgoing`) or ignored.
        """
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return None

    def pop_outgoing(self) -> bytes:
        """What the machine itself has to send: refusals of malformed requests. b"" if nothing."""
        if not self._outgoing:
            return b""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def call(self, method: str, message: Message, timeout_ns: int = 0) -> tuple[int, bytes]:
        """Call the peer: the stream id to recognize the `Reply` by, and the bytes to send in one sendall.

        `timeout_ns` is told to the peer (0 = none); keeping it is the caller's business, who then calls `forget`.
        Raises LocalProtocolError (unknown method) or MessageTooLarge; nothing has happened then.
        """
        stream, frame = self._client.encode_call(method, message.SerializeToString(), timeout_ns)
        return stream, mux.frame(self._called, frame)

    def forget(self, stream: int) -> None:
        """Give up a call: its reply, should it still come, is ignored."""
        self._client.forget(stream)

    def reply(self, request: Request, message: Message | bytes | None) -> bytes:
        """The bytes of a successful answer. None or an empty message is a zero-length Response.

        Raises MessageTooLarge; `reply_error` with its code is then the answer to give.
        """
        if message is None:
            payload = b""
        elif isinstance(message, bytes):
            payload = message
        else:
            payload = message.SerializeToString()
        return mux.frame(self._served, ttrpc.encode_reply(request.stream, payload))

    def reply_error(self, request: Request, code: int, text: str) -> bytes:
        """The bytes of an error answer. NRI fails the event with it and keeps the plugin connected."""
        return mux.frame(self._served, ttrpc.encode_error(request.stream, code, text))
