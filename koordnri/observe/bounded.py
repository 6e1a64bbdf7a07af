"""Servers that a port scanner, a slow client or a flood of them cannot use up."""

from __future__ import annotations

import contextlib
import errno
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

from koordnri.observe.certificate import Certificate
from koordnri.observe.places import Places

MAX_CONNECTIONS = 32
ACCEPT_PAUSE_S = 0.1
"""before the next try, when there is no file descriptor or memory for another client"""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
END_S = 2.0
"""how long the serving thread may take to end"""


class Bounded(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server with at most `connections` threads. A new client takes the place of the one that has kept us waiting longest."""

    daemon_threads = True
    connections: ClassVar[int] = MAX_CONNECTIONS
    request_queue_size = 128  # with the library's 5, a burst of clients waits seconds for TCP to retry

    def __init__(self, address: Any, handler: type[BaseHTTPRequestHandler]) -> None:
        self.places = Places(self.connections)
        self._ended = False
        super().__init__(address, handler)

    def serve(self) -> None:
        """Answer until `end`. Unlike `serve_forever`, which looks twice a second whether it is to end, this sleeps until a client comes."""
        while not self._ended:
            try:
                request, client_address = self.get_request()
            except OSError as error:
                if not self._ended and error.errno in _EXHAUSTED:  # otherwise the client has gone already
                    time.sleep(ACCEPT_PAUSE_S)
                continue
            try:
                self.process_request(request, client_address)
            except Exception:  # noqa: BLE001  # no thread could be started: this client is lost, not the server
                self.handle_error(request, client_address)
                self.shutdown_request(request)

    def end(self, serving: threading.Thread) -> None:
        """End `serve`, which runs in that thread, and close the socket."""
        self._ended = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for a client
        serving.join(END_S)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.places.enter(request):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.places.leave(request)  # no thread could be started, so nobody else frees the place
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.leave(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnected is not worth a traceback on stderr."""


class Port(Bounded):
    """A TCP port that pages are served on."""

    # Not HTTPServer: it looks up the host's own name, which nobody needs, and a silent DNS server would delay the start.
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], certificate: Certificate | None = None
    ) -> None:
        self._certificate = certificate
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def get_request(self) -> Any:
        connection, address = super().get_request()
        if self._certificate is None:
            return connection, address
        try:
            return self._certificate.wrap(connection), address
        except OSError:
            connection.close()
            raise
