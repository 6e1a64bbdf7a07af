"""`/metrics`, `/healthz`, `/readyz` over plain HTTP. Loopback unless asked otherwise."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

REQUEST_TIMEOUT_S = 10.0
"""A client that connects and says nothing is let go after this."""
MAX_CONNECTIONS = 32
_TEXT = "text/plain; charset=utf-8"


class Server:
    """Serves in threads of its own until `close`.

    ready   returns the problems that keep the daemon from being ready; empty = ready
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, ready: Callable[[], list[str]]) -> None:
        """Binds at once; port 0 takes a free one. Raises OSError."""
        handler = type("Handler", (_Handler,), {"registry": registry, "ready": staticmethod(ready)})
        self._server = _Bounded((host, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is really listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()


class _Bounded(ThreadingHTTPServer):
    """No more than MAX_CONNECTIONS threads: a port scanner must not cost the node its memory."""

    daemon_threads = True
    request_queue_size = (
        MAX_CONNECTIONS  # the library's 5 makes a burst of clients wait whole seconds for TCP to try again
    )

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, without HTTPServer's look-up of our own name: nobody reads it, and a silent DNS server would hold up the start."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()  # no thread could be started: nobody else gives the place back
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback on stderr."""


class _Handler(BaseHTTPRequestHandler):
    registry: ClassVar[CollectorRegistry]
    ready: ClassVar[staticmethod[[], list[str]]]
    timeout = REQUEST_TIMEOUT_S
    server_version = "koordnri"
    sys_version = ""

    def do_GET(self) -> None:
        try:
            status, body, content_type = self._answer(self.path.partition("?")[0])
        except Exception as error:  # noqa: BLE001  # else whoever scrapes sees a cut connection, and nobody the bug
            status, body, content_type = 500, f"bug in koordnri: {type(error).__name__}: {error}\n".encode(), _TEXT
        self._respond(status, body, content_type)

    def _answer(self, path: str) -> tuple[int, bytes, str]:
        """Status, body and content type."""
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            return 200, encode(self.registry), content_type
        if path == "/healthz":
            return 200, b"ok\n", _TEXT
        if path == "/readyz":
            problems = self.ready()
            text = "".join(f"not ready: {p}\n" for p in problems) or "ok\n"
            return 503 if problems else 200, text.encode(errors="replace"), _TEXT
        return 404, b"not found; there are /metrics, /healthz and /readyz\n", _TEXT

    def _respond(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes and probes are not logged."""
