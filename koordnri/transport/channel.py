"""One connection to the peer: the socket, the protocol machine on it, and which requests are still unanswered."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from google.protobuf.message import Message

from koordnri.wire.connection import Connection, Reply, Request, Side
from koordnri.wire.errors import MessageTooLarge

RECV_BYTES = 65536


class Channel:
    """Reads in one thread at a time, writes from any.

    The first caller of `answer` for a request replies; later callers get False. So the watchdog can answer for a handler that is stuck.
    """

    def __init__(self, sock: socket.socket, side: Side, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._connection = Connection(side)
        self._write_lock = threading.Lock()
        self._open: dict[int, tuple[Request, float]] = {}
        self._monotonic = monotonic
        self._recv = sock.recv
        self.last_s = float("-inf")
        """when the last request arrived (s, monotonic clock)"""
        self.ended = threading.Event()

    # -- reading: one thread ------------------------------------------------------------------------------------------

    def next(self) -> Request | Reply | None:
        """The next request or reply; blocks. None at the end of the connection.

        Raises RemoteProtocolError and OSError; then the channel is unusable.
        """
        connection = self._connection
        while (event := connection.next_event()) is None:
            data = self._recv(RECV_BYTES)
            if not data:
                return None
            connection.receive_data(data)
            if refusals := connection.pop_outgoing():
                self._send(refusals)
        if type(event) is Request:
            self.last_s = self._monotonic()
            self._open[event.stream] = (event, self.last_s)
        return event

    # -- writing: any thread ------------------------------------------------------------------------------------------

    def call(self, method: str, message: Message, timeout_s: float = 0.0) -> int:
        """Send a call. Returns the stream id that its Reply will have."""
        with self._write_lock:
            stream, data = self._connection.call(method, message, int(timeout_s * 1e9))
            self._sock.sendall(data)
        return stream

    def forget(self, stream: int) -> None:
        """Stop waiting for the reply to that call; a late one is ignored."""
        self._connection.forget(stream)

    def answer(self, request: Request, message: Message | None) -> bool:
        """Reply to a request. False when it was already answered."""
        if self._open.pop(request.stream, None) is None:
            return False
        try:
            data = self._connection.reply(request, message)
        except MessageTooLarge as error:
            data = self._connection.reply_error(request, error.code, str(error))
        self._send(data)
        return True

    def answer_error(self, request: Request, code: int, text: str) -> bool:
        """Reply with an error: the runtime fails the request with this text. False when it was already answered."""
        if self._open.pop(request.stream, None) is None:
            return False
        self._send(self._connection.reply_error(request, code, text))
        return True

    def unanswered(self) -> list[tuple[Request, float]]:
        """Requests not yet answered, and when each arrived (s, monotonic clock)."""
        return list(self._open.values())

    def finish(self) -> None:
        """Accept no more from the peer. The reader still gets what has arrived, and then the end."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """End the connection and wake the thread that reads. Any thread may call it, more than once."""
        with contextlib.suppress(OSError):  # the peer closed it first
            self._sock.shutdown(socket.SHUT_RDWR)
        self.ended.set()

    def release(self) -> None:
        """Close the file descriptor, after the reader has ended: the kernel could reuse the number under a thread that still reads."""
        self.ended.set()
        self._sock.close()

    def _send(self, data: bytes) -> None:
        with self._write_lock:
            self._sock.sendall(data)
