"""Mux and ttRPC stacked: the channel's bytes in, calls and answers out. One class serves the plugin's and the runtime's side."""

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

    NRI has no greeting and no farewell on the wire. A channel ends with EOF, which the caller handles.

    Threads: `receive_data`, `next_event` and `pop_outgoing` belong to the one thread that reads the socket. `reply` and `reply_error`
    touch no state, `call` and `forget` only the client's; any thread may use these four. The caller holds one lock around `call` and
    the sendall of its bytes, so that stream ids go out in order. The same lock guards the sendall of replies and of `pop_outgoing`, so
    that frames are not mixed. A request must be answered once; the caller decides who answers, the handler or the watchdog.
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
        """Take bytes read from the socket. Never raises for what the peer sent; `next_event` does that.

        Raises ValueError for b"": a socket returns it at EOF, and EOF must not be mistaken for "no data yet".
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

        Raises RemoteProtocolError after all events before the violation were taken, and then on every call. Only a frame above the
        caps is a violation; other malformed input is answered (`pop_outgoing`) or ignored.
        """
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return None

    def pop_outgoing(self) -> bytes:
        """Bytes that the machine itself has to send: error answers to malformed requests. b"" if there are none."""
        if not self._outgoing:
            return b""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def call(self, method: str, message: Message, timeout_ns: int = 0) -> tuple[int, bytes]:
        """Call the peer. Returns the stream id that its `Reply` will have, and the bytes to send in one sendall.

        `timeout_ns` is sent to the peer (0 = none). The caller keeps the time, and calls `forget` when it has passed.
        Raises LocalProtocolError (unknown method) or MessageTooLarge; then the state is unchanged.
        """
        stream, frame = self._client.encode_call(method, message.SerializeToString(), timeout_ns)
        return stream, mux.frame(self._called, frame)

    def forget(self, stream: int) -> None:
        """Give up a call: a late reply is ignored."""
        self._client.forget(stream)

    def reply(self, request: Request, message: Message | bytes | None) -> bytes:
        """The bytes of a successful answer. None or an empty message is a zero-length Response.

        Raises MessageTooLarge; then answer by `reply_error` with that exception's code.
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
