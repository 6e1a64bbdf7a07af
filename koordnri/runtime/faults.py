"""Faults on demand: what a runtime, a kernel or a bad day does to a connection, for tests of plugins."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Faults:
    """Switched by a test while the runtime runs; they hold for all its connections."""

    trickle: bool = False
    """every byte is sent by a system call of its own, so that the plugin sees every frame in pieces"""
    cut_during: str | None = None
    """method whose next request is sent by half, and then the connection is cut; back to None once it has happened"""
    cut_before_reply: str | None = None
    """method (of the Runtime service) whose next request is not answered: the connection is cut instead; then back to None"""
    hold_replies: dict[str, threading.Event] = field(default_factory=dict)
    """method (of the Runtime service) → what to wait for before its reply is sent. The runtime goes on meanwhile, so with
    RegisterPlugin here Configure comes before the answer to it"""


class FaultySocket(socket.socket):
    """A connected socket that takes its orders from `Faults`."""

    cut_next = False

    @classmethod
    def around(cls, sock: socket.socket, faults: Faults) -> FaultySocket:
        """Take `sock` over; it is of no use to others any more."""
        new = cls(fileno=sock.detach())
        new.faults = faults
        return new

    faults: Faults

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As socket.sendall, faults permitting."""
        if self.cut_next:
            self.cut_next = False
            super().sendall(bytes(data)[: len(data) // 2], flags)
            self.shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("cut in the middle of a frame, as the test ordered")
        if not self.faults.trickle:
            super().sendall(data, flags)
            return
        for at in range(len(data)):
            super().sendall(data[at : at + 1], flags)
