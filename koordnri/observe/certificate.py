"""TLS for a port, with a certificate that may be replaced while we serve."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """Wraps accepted connections. A renewed certificate holds for the connections that come after it.

    failed   called with the reason when a changed certificate cannot be loaded, once per change; the former one stays in use
    """

    def __init__(self, certificate: Path, key: Path, failed: Callable[[str], None] = lambda reason: None) -> None:
        """Raises OSError (ssl.SSLError is one) when there is no usable certificate."""
        self._certificate = certificate
        self._key = key
        self._failed = failed
        self._stamp = self._look()
        self._context = self._load()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Ready for the handshake, which happens at the first read, in the connection's own thread. Raises OSError."""
        self._renew()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _renew(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._context = self._load()
        except OSError as error:  # for example one of the two files is not replaced yet; its own change is seen, too
            self._failed(f"{self._certificate}, {self._key}: {error}")

    def _look(self) -> _Stamp:
        found = []
        for path in (self._certificate, self._key):
            try:
                stat = os.stat(path)
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))  # `_load` says what is wrong
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._certificate, self._key, password=_no_password)
        return context


def _no_password() -> str:
    """Instead of a prompt on the terminal."""
    raise ssl.SSLError("the key is encrypted; expected one without a password")
