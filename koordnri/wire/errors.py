"""Whose fault it is, in the type."""

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
    """Base of the two below, for whoever must drop the connection in both cases."""


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol. Nothing has been sent and the connection is unharmed."""

    code: Code = Code.INTERNAL


class MessageTooLarge(LocalProtocolError):
    """We were about to send more than a ttRPC frame may hold; the peer would have dropped the connection."""

    code = Code.RESOURCE_EXHAUSTED


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol beyond repair: the byte stream cannot be followed any further. Close and reconnect."""


class RemoteStatus(Exception):
    """The peer answered a call with an error status. The connection is unharmed."""

    def __init__(self, code: int, text: str, method: str = "") -> None:
        super().__init__(code, text, method)
        self.code = code
        """gRPC code number; maybe one that `Code` does not know."""
        self.text = text
        self.method = method
        """Name of the method called, "" when not told."""

    def __str__(self) -> str:
        name = Code(self.code).name if self.code in Code.__members__.values() else "unknown code"
        return f"{self.method or 'call'} failed: {self.text or 'no text'} ({name}, {self.code})"
