"""ttRPC on one logical connection: the frame codec, a client half and a server half. Unary calls only, as in NRI.

A frame is data length and stream id (uint32 big-endian), type and flags (one byte each), and the data: a `Request` or `Response`
message. Both halves tolerate malformed input: as long as a frame's length is within the cap, nothing in the frame makes the
connection unusable.
"""

from __future__ import annotations

from collections.abc import Collection
from struct import Struct
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from koordnri.wire import ttrpc_pb2
from koordnri.wire.errors import Code, LocalProtocolError, MessageTooLarge, RemoteProtocolError

HEADER_BYTES: Final = 10
MAX_SENT_BYTES: Final = 4 * 1024 * 1024
"""Largest data of a sent frame; a Go peer drops the connection above it."""
DEFAULT_MAX_RECEIVED_BYTES: Final = 12 * 1024 * 1024
"""Largest data of a received frame. containerd 1.7.0-1.7.25 sends more than 4 MiB in Synchronize on crowded nodes. Decoding holds a
message in memory up to three times, and the daemon can spare about 60 MiB for that. 500 containers of 23 kB are less."""
MAX_STREAM: Final = 0xFFFFFFFF
MAX_ERROR_CHARS: Final = 16 * 1024
"""Error texts are cut here: one may quote what the peer sent, and must neither exceed a frame nor fill the peer's log."""

REQUEST: Final = 1
RESPONSE: Final = 2
DATA: Final = 3
"""A piece of a streaming call, which NRI never makes."""

_HEADER = Struct(">IIBB")
_pack = _HEADER.pack
_unpack_from = _HEADER.unpack_from
_NEW = tuple.__new__
"""Makes a NamedTuple without its constructor, which is slow Python code: each event needs one of each kind."""
_new_request = ttrpc_pb2.Request
_new_response = ttrpc_pb2.Response


class Frame(NamedTuple):
    """One ttRPC frame. Its flags are dropped: they mean nothing in unary calls, and unknown ones must be ignored."""

    stream: int
    type: int
    data: bytes


class Request(NamedTuple):
    """A call by the peer. Answer it once, by `reply` or `reply_error`."""

    stream: int
    method: str
    """name without the service; the service has it"""
    payload: bytes
    """the request message, not parsed yet"""
    timeout_ns: int
    """how long the caller waits, from when it sent the call; 0 or less: it named no limit"""
    metadata: tuple[tuple[str, str], ...]
    """Pairs in the order sent, repeated keys included. NRI defines none; tracing may add some."""


class Reply(NamedTuple):
    """The peer's answer to one of our calls."""

    stream: int
    code: int
    """gRPC code number, 0 on success."""
    text: str
    """Error text, "" on success."""
    payload: bytes
    """The reply message, not parsed yet; b"" on error."""


class FrameReader:
    """Cuts one connection's byte stream into frames. Any split of the input gives the same frames."""

    __slots__ = ("_chunks", "_have", "_max", "_need", "error")

    def __init__(self, max_bytes: int = DEFAULT_MAX_RECEIVED_BYTES) -> None:
        self._max = max_bytes
        self._chunks: list[bytes] = []
        self._have = 0  # bytes in the chunks
        self._need = HEADER_BYTES  # bytes needed before the next step
        self.error: RemoteProtocolError | None = None
        """Set by `feed` when a frame announces more than the cap. The bytes after it cannot be understood."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes, in order. Check `error` after each call."""
        frames: list[Frame] = []
        if self.error is not None:
            return frames
        have = self._have + len(chunk)
        chunks = self._chunks
        if have < self._need:
            chunks.append(chunk)
            self._have = have
            return frames
        if chunks:
            chunks.append(chunk)
            chunk = b"".join(chunks)
            chunks.clear()
        pos = 0
        need = HEADER_BYTES
        while have >= need:
            length, stream, kind, _flags = _unpack_from(chunk, pos)
            if length > self._max:
                self.error = RemoteProtocolError(
                    f"ttRPC frame of stream {stream} announces {length} bytes of data, expected at most {self._max}:"
                    " not ttRPC, or out of step; reconnect"
                )
                return frames
            need = HEADER_BYTES + length
            if have < need:
                break
            stop = pos + need
            frames.append(_NEW(Frame, (stream, kind, chunk[pos + HEADER_BYTES : stop])))
            pos = stop
            have -= need
            need = HEADER_BYTES
        self._have = have
        self._need = need
        if have:
            chunks.append(chunk[pos:] if pos else chunk)
        return frames


class ServerHalf:
    """The called side of a connection. Takes frames; gives requests for the session and error answers for the peer."""

    __slots__ = ("_last", "_methods", "_service")

    def __init__(self, service: str, methods: Collection[str]) -> None:
        self._service = service
        self._methods = frozenset(methods)
        self._last = 0  # highest stream id seen in a request

    def receive(self, frame: Frame) -> Request | bytes | None:
        """What a frame contains: a request, an error answer to send back (a whole ttRPC frame), or nothing.

        The error texts are those of the Go server, because people search for them.
        """
        stream, kind, data = frame
        if kind != REQUEST and kind != DATA:
            return None
        if not stream & 1:
            return encode_error(stream, Code.INVALID_ARGUMENT, "StreamID must be odd for client initiated streams")
        if kind == DATA:
            return encode_error(stream, Code.INVALID_ARGUMENT, "StreamID is no longer active")
        if stream <= self._last:
            return encode_error(stream, Code.INVALID_ARGUMENT, "StreamID cannot be re-used and must increment")
        self._last = stream
        request = _new_request()
        try:
            request.MergeFromString(data)
        except DecodeError as error:
            return encode_error(stream, Code.INVALID_ARGUMENT, f"unmarshal request error: {error}")
        if request.service != self._service:
            return encode_error(stream, Code.UNIMPLEMENTED, f"service {request.service}")
        method = request.method
        if method not in self._methods:
            return encode_error(stream, Code.UNIMPLEMENTED, f"method {method}")
        pairs = request.metadata
        metadata = tuple([(pair.key, pair.value) for pair in pairs]) if pairs else ()
        return _NEW(Request, (stream, method, request.payload, request.timeout_nano, metadata))


class ClientHalf:
    """The calling side of a connection. `encode_call` and `forget` may run in another thread than `receive`."""

    __slots__ = ("_next", "_pending", "_prefixes")

    def __init__(self, service: str, methods: Collection[str]) -> None:
        self._prefixes = {
            method: _new_request(service=service, method=method).SerializeToString() for method in methods
        }
        self._next = 1
        self._pending: set[int] = set()

    def encode_call(self, method: str, payload: bytes, timeout_ns: int = 0) -> tuple[int, bytes]:
        """A new stream id and the frame that makes the call. Write frames in the order of their ids.

        Raises LocalProtocolError for an unknown method, a negative timeout, or when all ids are used; MessageTooLarge. In each case no
        id is consumed.
        """
        prefix = self._prefixes.get(method)
        if prefix is None:
            raise LocalProtocolError(f"call of unknown method {method!r}, expected one of {sorted(self._prefixes)}")
        if not 0 <= timeout_ns < 1 << 63:
            raise LocalProtocolError(f"call of {method}: timeout_ns is {timeout_ns}, expected 0 (none) or int64 ns > 0")
        stream = self._next
        if stream > MAX_STREAM:
            raise LocalProtocolError(f"call of {method}: all stream ids of this connection are used up; reconnect")
        data = prefix
        if payload:
            data += b"\x1a" + varint(len(payload)) + payload
        if timeout_ns:
            data += b"\x20" + varint(timeout_ns)
        frame = encode_frame(stream, REQUEST, data)
        self._next = stream + 2
        self._pending.add(stream)
        return stream, frame

    def forget(self, stream: int) -> None:
        """Give up a call after its timeout: a late answer is ignored."""
        self._pending.discard(stream)

    def receive(self, frame: Frame) -> Reply | None:
        """The answer in a frame; None when no call waits for it.

        An answer that cannot be decoded becomes one with code INTERNAL: the call failed, the connection is still usable.
        """
        stream, kind, data = frame
        if stream not in self._pending or kind not in (RESPONSE, DATA):
            return None
        self._pending.discard(stream)
        if kind == DATA:
            return Reply(stream, Code.INTERNAL, f"stream {stream} answered by a Data frame, expected a Response", b"")
        if not data:
            return Reply(stream, 0, "", b"")
        response = _new_response()
        try:
            response.MergeFromString(data)
        except DecodeError as error:
            return Reply(stream, Code.INTERNAL, f"Response of stream {stream} cannot be decoded: {error}", b"")
        if response.HasField("status") and response.status.code:
            return Reply(stream, response.status.code, response.status.message, b"")
        return Reply(stream, 0, "", response.payload)


def varint(value: int) -> bytes:
    """Protobuf's variable-length encoding of a non-negative integer."""
    if value < 0x80:
        return value.to_bytes(1)
    if value < 0x4000:
        return (value & 0x7F | 0x80 | value >> 7 << 8).to_bytes(2, "little")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_frame(stream: int, kind: int, data: bytes) -> bytes:
    """One frame with all flags 0. Raises MessageTooLarge beyond `MAX_SENT_BYTES`."""
    if len(data) > MAX_SENT_BYTES:
        raise MessageTooLarge(
            f"ttRPC message of stream {stream} has {len(data)} bytes, expected at most {MAX_SENT_BYTES}: split it"
        )
    return _pack(len(data), stream, kind, 0) + data


def encode_reply(stream: int, payload: bytes) -> bytes:
    """The frame of a successful answer. Raises MessageTooLarge; then answer with an error instead."""
    size = len(payload)
    if not size:
        return _pack(0, stream, RESPONSE, 0)
    # Response has one field here, so it is written by hand: building it in protobuf would copy the payload twice more.
    head = b"\x12" + varint(size)
    length = len(head) + size
    if length > MAX_SENT_BYTES:
        raise MessageTooLarge(
            f"ttRPC reply of stream {stream} has {length} bytes, expected at most {MAX_SENT_BYTES}: answer with less"
        )
    return _pack(length, stream, RESPONSE, 0) + head + payload


def encode_error(stream: int, code: int, text: str) -> bytes:
    """The frame of an error answer: the status only, since Go drops the payload too. The text is cut at `MAX_ERROR_CHARS`.

    Raises LocalProtocolError for code 0, which means success, and for a code that is no int32.
    """
    if not 0 < code < 1 << 31:
        raise LocalProtocolError(f"error answer to stream {stream} with code {code}, expected a gRPC code > 0")
    # Lone surrogates (Python's stand-ins for undecodable bytes in file names) cannot be encoded as UTF-8.
    safe = text[:MAX_ERROR_CHARS].encode("utf-8", "replace").decode()
    status = ttrpc_pb2.Status(code=code, message=safe)
    return encode_frame(stream, RESPONSE, _new_response(status=status).SerializeToString())
