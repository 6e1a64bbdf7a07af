"""A model of how NRI's Go side reads one logical connection, with the quirks that close the channel on us.

ttRPC reads through a buffer of 4096 bytes; the mux hands over exactly one queued payload per read, and fails when the
reader's room is smaller than it. At most 256 payloads are queued.
"""

from __future__ import annotations

from collections import deque
from struct import unpack_from

BUFFER_BYTES = 4096
QUEUE_PAYLOADS = 256


class Killed(Exception):
    """The Go peer has closed the channel."""


def payloads(channel: bytes) -> list[tuple[int, bytes]]:
    """The mux frames in `channel`, which must be whole, as (connection id, payload)."""
    frames = []
    pos = 0
    while pos < len(channel):
        conn, size = unpack_from(">II", channel, pos)
        assert pos + 8 + size <= len(channel), "the last mux frame is not whole"
        frames.append((conn, channel[pos + 8 : pos + 8 + size]))
        pos += 8 + size
    return frames


def ttrpc_frame_on(channel: bytes) -> tuple[int, int, int, bytes]:
    """Stream, type, flags and data of the only ttRPC frame in `channel`."""
    stream = b"".join(payload for _, payload in payloads(channel))
    size, number, kind, flags = unpack_from(">IIBB", stream)
    assert len(stream) == 10 + size, "not exactly one ttRPC frame"
    return number, kind, flags, stream[10:]


class GoReader:
    """Reads ttRPC frames of one connection out of queued mux payloads, as Go does."""

    def __init__(self, queued: list[bytes]) -> None:
        if len(queued) > QUEUE_PAYLOADS:
            raise Killed(f"{len(queued)} payloads queued")
        self._queue = deque(queued)
        self._buffer = b""

    def _conn_read(self, room: int) -> bytes:
        if not self._queue:
            raise EOFError
        if len(self._queue[0]) > room:
            raise Killed(f"ENOMEM: payload of {len(self._queue[0])} bytes, room for {room}")
        return self._queue.popleft()

    def _read_full(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            want = size - len(out)
            if not self._buffer and want >= BUFFER_BYTES:
                out += self._conn_read(want)
                continue
            if not self._buffer:
                self._buffer = self._conn_read(BUFFER_BYTES)
            out += self._buffer[:want]
            self._buffer = self._buffer[want:]
        return out

    def frame(self) -> bytes:
        """The next ttRPC frame, header included. Raises Killed where Go gives up, EOFError at the end."""
        header = self._read_full(10)
        return header + self._read_full(unpack_from(">I", header)[0])
