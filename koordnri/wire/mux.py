"""The channel: NRI's multiplexing of two byte streams over one socket.

A frame is a connection id and a payload length, both uint32 big-endian, and the payload: a slice of that connection's byte stream.
The layer above ignores frame boundaries. So the reader passes on each slice as it comes, even a piece of a frame; it holds back only
an incomplete header.
"""

from __future__ import annotations

from struct import Struct

from koordnri.wire.errors import RemoteProtocolError

PLUGIN_CONN = 1
"""Connection on which the runtime calls the plugin."""
RUNTIME_CONN = 2
"""Connection on which the plugin calls the runtime."""

HEADER_BYTES = 8
SAFE_PAYLOAD_BYTES = 4096
"""Largest payload that a Go peer can read at any position. Its ttRPC reads through a buffer of this size, and its mux refuses to put
a payload into a smaller buffer."""
MAX_SENT_PAYLOAD_BYTES = 4194314
"""Largest payload that Go itself writes (NRI >= 0.7): a ttRPC frame of 4 MiB with its header."""
SMALL_MESSAGE_BYTES = 512 * 1024
"""Up to this size a message is cut into safe payloads. Go queues 256 payloads per connection and drops the channel when the queue is
full. So a larger message goes out as Go writes it: the first payload a safe one, then all the rest in one."""
DEFAULT_MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Largest payload accepted. NRI <= 0.6.1 writes up to 16 MiB, and Go's reader has no limit."""

_HEADER = Struct(">II")
_pack = _HEADER.pack
_unpack_from = _HEADER.unpack_from


class MuxReader:
    """Splits the channel's bytes into its streams. Any split of the input gives the same streams."""

    __slots__ = ("_conn", "_left", "_max", "_partial", "error")

    def __init__(self, max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES) -> None:
        self._max = max_payload_bytes
        self._conn = 0  # of the frame being read
        self._left = 0  # bytes of its payload still to come
        self._partial = b""  # an incomplete header
        self.error: RemoteProtocolError | None = None
        """Set by `feed` when a frame announces more than the cap. The bytes after it cannot be understood."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Slices of connection streams in `data`, in order, as (connection id, bytes); never an empty slice.

        Slices of every id are returned, also of id 0 and of connections that nobody opened; the caller ignores those.
        Check `error` after each call: slices before the violation are returned all the same.
        """
        slices: list[tuple[int, bytes]] = []
        if self.error is not None:
            return slices
        pos = 0
        end = len(data)
        left = self._left
        if left:
            if end <= left:
                self._left = left - end
                if end:
                    slices.append((self._conn, data))
                return slices
            slices.append((self._conn, data[:left]))
            self._left = 0
            pos = left
        elif self._partial:
            data = self._partial + data
            end = len(data)
            self._partial = b""
        while end - pos >= HEADER_BYTES:
            conn, length = _unpack_from(data, pos)
            if length > self._max:
                self.error = RemoteProtocolError(
                    f"mux frame of connection {conn} announces a payload of {length} bytes, expected at most {self._max}:"
                    " not NRI, or out of step; reconnect"
                )
                return slices
            pos += HEADER_BYTES
            stop = pos + length
            if stop > end:
                self._conn = conn
                self._left = stop - end
                if pos < end:
                    slices.append((conn, data[pos:]))
                return slices
            if length:
                slices.append((conn, data[pos:stop]))
            pos = stop
        if pos < end:
            self._partial = data[pos:]
        return slices


def frame(conn_id: int, message: bytes) -> bytes:
    """The mux frames that carry `message`, one whole ttRPC frame. Write them in one piece, under one lock per channel."""
    size = len(message)
    if size <= SAFE_PAYLOAD_BYTES:
        return _pack(conn_id, size) + message
    view = memoryview(message)
    parts: list[bytes | memoryview] = []
    pos = 0
    step = SAFE_PAYLOAD_BYTES
    while pos < size:
        payload = view[pos : pos + step]
        parts += (_pack(conn_id, len(payload)), payload)
        pos += len(payload)
        if size > SMALL_MESSAGE_BYTES:
            step = MAX_SENT_PAYLOAD_BYTES  # only the first payload of a large message is a safe one
    return b"".join(parts)
