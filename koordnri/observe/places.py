"""The places of one server: a bounded number of connections. When all are taken, the client that has kept us waiting longest makes room."""

from __future__ import annotations

import contextlib
import socket
import threading

EVICTION_S = 1.0
"""Longest wait for the thread of an evicted connection to end. It wakes at once; a busy machine may take a while to run it."""


class Places:
    """Called by the thread that accepts (`enter`), and by the thread of each connection (all else).

    most   connections at a time
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()
        self._reading: dict[socket.socket, None] = {}
        """whose request has not come, oldest first"""
        self._sending: dict[socket.socket, None] = {}
        """who has not taken the whole answer, oldest first"""

    def enter(self, connection: socket.socket) -> bool:
        """Take a place. False: all are taken by requests that are being answered."""
        with self._changed:
            if self._taken >= self._most and self._evict():
                self._changed.wait_for(lambda: self._taken < self._most, EVICTION_S)
            if self._taken >= self._most:
                return False
            self._taken += 1
            self._reading[connection] = None
            return True

    def answering(self, connection: socket.socket) -> None:
        """We are working for the client now: it is not evicted."""
        with self._changed:
            self._reading.pop(connection, None)
            self._sending.pop(connection, None)

    def sending(self, connection: socket.socket) -> None:
        """The answer is ready: the client is to take it."""
        with self._changed:
            self._reading.pop(connection, None)
            self._sending[connection] = None

    def leave(self, connection: socket.socket) -> None:
        """Free the place."""
        with self._changed:
            self._reading.pop(connection, None)
            self._sending.pop(connection, None)
            self._taken -= 1
            self._changed.notify()

    def _evict(self) -> bool:
        """Cut the connection that has waited longest. A slow request goes before a slow receiver, which may be a real scraper."""
        waiting = self._reading or self._sending
        if not waiting:
            return False
        oldest = next(iter(waiting))
        del waiting[oldest]
        with contextlib.suppress(OSError):  # it has gone by itself
            # Not `oldest.shutdown`: that of TLS changes the object, which its own thread is using.
            socket.socket.shutdown(oldest, socket.SHUT_RDWR)  # wakes the thread that reads or writes
        return True
