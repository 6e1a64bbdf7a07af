"""Faults on demand for tests of plugins: what a runtime, a kernel or a bad day does to a connection."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class InjectedFaults:
    """A test switches them while the runtime runs; they hold for all its connections."""

    trickle: bool = False
    """each byte is sent by its own system call, so that the plugin sees every frame in pieces"""
    cut_during: str | None = None
    """method whose next request is cut: half of it is sent, then the connection ends; None again once that has happened"""
    cut_before_reply: str | None = None
    """method of the Runtime service whose next request is not answered: the connection ends instead; None again afterwards"""
    hold_replies: dict[str, threading.Event] = field(default_factory=dict)
    """method of the Runtime service → event to wait for before its reply is sent. Meanwhile the runtime goes on: with RegisterPlugin
    here, the plugin gets Configure before the reply"""


class FaultySocket(socket.socket):
    """A connected socket that behaves as `InjectedFaults` says."""

    cut_next = False

    @classmethod
    def around(cls, sock: socket.socket, faults: InjectedFaults) -> FaultySocket:
        """Take `sock` over; nobody else may use it afterwards."""
        new = cls(fileno=sock.detach())
        new.faults = faults
        return new

    faults: InjectedFaults

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As socket.sendall, with the faults."""
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
