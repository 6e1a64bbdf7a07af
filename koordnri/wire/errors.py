"""Errors of the protocol. The type says whose fault it is, ours or the peer's."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """gRPC status codes, as ttRPC uses them. A peer may send others; they are kept as plain integers."""

    OK = 0
    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ProtocolError(Exception):
    """Base of LocalProtocolError and RemoteProtocolError, for callers that drop the connection in both cases."""


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol. Nothing was sent; the connection is still usable."""

    code: Code = Code.INTERNAL


class MessageTooLarge(LocalProtocolError):
    """We were about to send more than a ttRPC frame may hold. The peer would have dropped the connection."""

    code = Code.RESOURCE_EXHAUSTED


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol and the byte stream cannot be followed any further. Close and reconnect."""


class RemoteStatus(Exception):
    """The peer answered a call with an error status. The connection is still usable."""

    def __init__(self, code: int, text: str, method: str = "") -> None:
        super().__init__(code, text, method)
        self.code = code
        """gRPC code number; `Code` need not have it."""
        self.text = text
        self.method = method
        """Name of the called method; "" when not known."""

    def __str__(self) -> str:
        name = Code(self.code).name if self.code in Code.__members__.values() else "unknown code"
        return f"{self.method or 'call'} failed: {self.text or 'no text'} ({name}, {self.code})"
