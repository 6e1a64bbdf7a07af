"""One connection to the runtime: the socket, the protocol machine on it, and who may still answer which request."""

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

    `answer` settles who replies to a request: the first caller does, later ones are told that it is too late. That is how the
    watchdog answers in the place of a handler that is stuck.
    """

    def __init__(self, sock: socket.socket, side: Side, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._connection = Connection(side)
        self._write_lock = threading.Lock()
        self._open: dict[int, tuple[Request, float]] = {}
        self._monotonic = monotonic
        self._recv = sock.recv
        self.last_s = float("-inf")
        """when the last request arrived"""
        self.ended = threading.Event()

    # -- reading: one thread ------------------------------------------------------------------------------------------

    def next(self) -> Request | Reply | None:
        """The next request or reply; blocks. None at the end of the connection.

        Raises RemoteProtocolError and OSError; the channel is of no use after that.
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
        """Send a call; the stream id by which its Reply is known."""
        with self._write_lock:
            stream, data = self._connection.call(method, message, int(timeout_s * 1e9))
            self._sock.sendall(data)
        return stream

    def forget(self, stream: int) -> None:
        """Nobody waits for the reply to that call any more; should it still come, it is ignored."""
        self._connection.forget(stream)

    def answer(self, request: Request, message: Message | None) -> bool:
        """Reply to a request. False when somebody has done so before."""
        if self._open.pop(request.stream, None) is None:
            return False
        try:
            data = self._connection.reply(request, message)
        except MessageTooLarge as error:
            data = self._connection.reply_error(request, error.code, str(error))
        self._send(data)
        return True

    def answer_error(self, request: Request, code: int, text: str) -> bool:
        """Reply with an error: the runtime fails the request with this text. False when somebody has replied before."""
        if self._open.pop(request.stream, None) is None:
            return False
        self._send(self._connection.reply_error(request, code, text))
        return True

    def unanswered(self) -> list[tuple[Request, float]]:
        """What is still to be answered, and when it arrived (s, monotonic clock)."""
        return list(self._open.values())

    def finish(self) -> None:
        """Take nothing new from the peer; the reader answers what has arrived, and then finds the end."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """End the connection; a thread that reads is woken. May be called more than once and from any thread."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._sock.shutdown(socket.SHUT_RDWR)
        self.ended.set()

    def release(self) -> None:
        """Give the file descriptor back, once nobody reads any more: a descriptor closed under a reader may be reused under it."""
        self.ended.set()
        self._sock.close()

    def _send(self, data: bytes) -> None:
        with self._write_lock:
            self._sock.sendall(data)
