"""One connection to the plugin, as a runtime has it: frames out in any shape, answers and calls in."""

from __future__ import annotations

import socket
import time
from collections import deque
from struct import Struct

from google.protobuf.message import DecodeError, Message

from koordnri.conformance.violation import Violation
from koordnri.wire import mux, ttrpc, ttrpc_pb2
from koordnri.wire.services import PLUGIN_SERVICE

_HEADER = Struct(">IIBB")


class Link:
    """Used by one thread. Everything waits `patience_s` at most."""

    def __init__(self, sock: socket.socket, patience_s: float) -> None:
        self.patience_s = patience_s
        self.payload_bytes: list[tuple[int, int]] = []
        """(connection, length) of each mux frame that the plugin has sent"""
        self.calls: deque[tuple[int, ttrpc_pb2.Request]] = deque()
        """(stream, request) of the plugin's calls that nobody has taken yet"""
        self._socket = sock
        self._mux = mux.MuxReader()
        self._frames = {mux.PLUGIN_CONN: ttrpc.FrameReader(), mux.RUNTIME_CONN: ttrpc.FrameReader()}
        self._answers: dict[int, ttrpc_pb2.Response] = {}
        self._heads = _Heads()
        self._stream = -1
        self._open = True

    # -- to the plugin ------------------------------------------------------------------------------------------------

    def request(self, method: str, payload: bytes, service: str = PLUGIN_SERVICE) -> bytes:
        """The data of a request frame."""
        return ttrpc_pb2.Request(service=service, method=method, payload=payload).SerializeToString()

    def ask(self, data: bytes, kind: int = ttrpc.REQUEST, flags: int = 0, cut: int = 0) -> int:
        """Send one ttRPC frame. Returns its stream id.

        cut  bytes per write to the socket; 0: all at once
        """
        self._stream += 2
        frame = _HEADER.pack(len(data), self._stream, kind, flags) + data
        self.write(mux.frame(mux.PLUGIN_CONN, frame), cut)
        return self._stream

    def write(self, data: bytes, cut: int = 0) -> None:
        """Raises Violation when the plugin has closed the connection."""
        try:
            for at in range(0, len(data), cut or len(data)):
                self._socket.sendall(data[at : at + (cut or len(data))])
        except OSError as error:
            raise Violation(f"expected it to read, it closed the connection: {error.strerror}") from None

    def call(self, method: str, message: Message | bytes, what: str = "") -> bytes:
        """Send an event or request, and wait for the answer's payload. Raises Violation for an error and for none."""
        payload = message if isinstance(message, bytes) else message.SerializeToString()
        answer = self.answer(self.ask(self.request(method, payload)), what or method)
        if answer.status.code:
            raise Violation(f"{what or method}: expected OK, got code {answer.status.code}: {answer.status.message}")
        return answer.payload

    def reply(self, stream: int) -> None:
        """Answer a call of the plugin: all is well."""
        self.write(mux.frame(mux.RUNTIME_CONN, ttrpc.encode_reply(stream, b"")))

    # -- from the plugin ----------------------------------------------------------------------------------------------

    def answer(self, stream: int, what: str) -> ttrpc_pb2.Response:
        """The answer to a request. Raises Violation when none comes."""
        self._until(lambda: stream in self._answers, f"{what}: expected an answer")
        return self._answers.pop(stream)

    def next_call(self, what: str) -> tuple[int, ttrpc_pb2.Request]:
        """The plugin's next call. Raises Violation when none comes."""
        self._until(lambda: bool(self.calls), f"expected {what}")
        return self.calls.popleft()

    def answered(self, stream: int) -> bool:
        """Whether an answer has come that nobody has taken."""
        return stream in self._answers

    def close(self) -> None:
        """End the connection, as a runtime that ends does."""
        self._open = False
        self._socket.close()

    def _until(self, done: object, what: str) -> None:
        deadline_s = time.monotonic() + self.patience_s
        while not done():  # type: ignore[operator]
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise Violation(f"{what} within {self.patience_s:g} s, none came")
            self._socket.settimeout(left_s)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                raise Violation(f"{what}, the connection broke: {error.strerror}") from None
            if not data:
                raise Violation(f"{what}, it closed the connection")
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        self.payload_bytes += self._heads.feed(data)
        for conn, piece in self._mux.feed(data):
            if (reader := self._frames.get(conn)) is None:
                raise Violation(f"expected frames of the connections 1 and 2, got one of {conn}")
            for frame in reader.feed(piece):
                self._take(conn, frame)
            if reader.error is not None:
                raise Violation(str(reader.error))
        if self._mux.error is not None:
            raise Violation(str(self._mux.error))

    def _take(self, conn: int, frame: ttrpc.Frame) -> None:
        try:
            if conn == mux.PLUGIN_CONN:
                if frame.type == ttrpc.RESPONSE:
                    self._answers[frame.stream] = ttrpc_pb2.Response.FromString(frame.data)
            elif frame.type == ttrpc.REQUEST:
                self.calls.append((frame.stream, ttrpc_pb2.Request.FromString(frame.data)))
        except DecodeError as error:
            raise Violation(f"expected a ttRPC message on stream {frame.stream}, got something else: {error}") from None


class _Heads:
    """Reads the heads of mux frames only: how long each is."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        found = []
        while data:
            skipped = min(self._left, len(data))
            self._left -= skipped
            data = data[skipped:]
            needed = mux.HEADER_BYTES - len(self._head)
            self._head, data = self._head + data[:needed], data[needed:]
            if len(self._head) == mux.HEADER_BYTES:
                conn, self._left = Struct(">II").unpack(self._head)
                found.append((conn, self._left))
                self._head = b""
        return found
