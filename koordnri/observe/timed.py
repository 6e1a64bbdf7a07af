"""A client's connection as a byte stream with a deadline."""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class TimedStream(io.RawIOBase):
    """Reads and writes fail with TimeoutError once the deadline has passed, however steadily the client trickles.

    A socket's own timeout bounds one call only: a client that sends a byte every second never meets it.
    """

    def __init__(self, connection: socket.socket, patience_s: float) -> None:
        self._connection = connection
        self._patience_s = patience_s
        self._until = 0.0
        self.restart()

    def restart(self) -> None:
        """The client has `patience_s` from now on."""
        self._until = time.monotonic() + self._patience_s

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def writable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Raises OSError."""
        self._arm()
        return self._connection.recv_into(buffer)

    def write(self, data: ReadableBuffer) -> int:
        """Send everything. Raises OSError."""
        view = memoryview(data).cast("B")
        sent = 0
        while sent < len(view):
            self._arm()
            sent += self._connection.send(view[sent:])
        return sent

    def _arm(self) -> None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:  # 0 would mean "do not block"
            raise TimeoutError(f"the client has not finished within {self._patience_s:g} s")
        self._connection.settimeout(left_s)
