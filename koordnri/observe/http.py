"""HTTP pages: `/metrics`, `/healthz`, `/readyz`, `/v1/policy`. On the loopback address unless configured otherwise.

A page is a function from a request to an answer. The control socket (koordnri.observe.control) uses the same handler for its pages.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

REQUEST_TIMEOUT_S = 10.0
"""A client that connects and sends nothing is disconnected after this time."""
MAX_CONNECTIONS = 32
_TEXT = "text/plain; charset=utf-8"


class HTTPRequest(NamedTuple):
    """What a page gets."""

    headers: Message
    body: bytes
    query: str = ""
    """what follows the question mark in the path"""


class HTTPAnswer(NamedTuple):
    """What a page returns."""

    status: int
    body: bytes
    content_type: str


Page = Callable[[HTTPRequest], HTTPAnswer]
Pages = Mapping[str, Mapping[str, Page]]
"""Path → method → page."""


def text_answer(text: str, status: int = 200) -> HTTPAnswer:
    """An answer of a few lines, for people and probes."""
    return HTTPAnswer(status, text.encode(errors="replace"), _TEXT)


def json_answer(value: Any, status: int = 200) -> HTTPAnswer:
    """An answer as JSON, indented so that people can read it too."""
    return HTTPAnswer(status, f"{json.dumps(value, indent=2)}\n".encode("ascii"), "application/json")


class Server:
    """Serves in its own threads until `close`.

    ready    returns the problems that keep the daemon from being ready; empty: ready
    policy   returns the state of the policy for JSON; None: the page does not exist
    warnings returns problems that do not keep the daemon from being ready
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], list[str]],
        policy: Callable[[], Mapping[str, Any]] | None = None,
        warnings: Callable[[], list[str]] = list,
    ) -> None:
        """Binds at once; port 0 takes a free one. Raises OSError."""
        self._registry = registry
        self._ready = ready
        self._warnings = warnings
        pages: dict[str, dict[str, Page]] = {
            "/metrics": {"GET": self._metrics},
            "/healthz": {"GET": lambda _: text_answer("ok\n")},
            "/readyz": {"GET": self._readiness},
        }
        if policy is not None:
            pages["/v1/policy"] = {"GET": lambda _: json_answer(policy())}
        self._server = Port((host, port), handler_of(Handler, pages))
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.end(self._thread)

    def _metrics(self, request: HTTPRequest) -> HTTPAnswer:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HTTPAnswer(200, encode(self._registry), content_type)

    def _readiness(self, _: HTTPRequest) -> HTTPAnswer:
        problems = self._ready()
        text = "".join(f"not ready: {p}\n" for p in problems) or "ok\n"
        return text_answer(text + "".join(f"warning: {w}\n" for w in self._warnings()), 503 if problems else 200)


ACCEPT_PAUSE_S = 0.1
"""before the next try, when no client could be accepted"""
END_S = 2.0
"""how long the serving thread may take to end"""


class Bounded(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server with at most `connections` threads: a port scanner must not use up the node's memory."""

    daemon_threads = True
    connections: ClassVar[int] = MAX_CONNECTIONS
    request_queue_size = MAX_CONNECTIONS  # with the library's 5, a burst of clients waits seconds for TCP to retry

    def __init__(self, address: Any, handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(self.connections)
        self._ended = False
        super().__init__(address, handler)

    def serve(self) -> None:
        """Answer until `end`. Unlike `serve_forever`, which looks twice a second whether it is to end, this sleeps until a client comes."""
        while not self._ended:
            try:
                request, client_address = self.get_request()
            except OSError:
                if not self._ended:  # the client has gone already, or there is no file descriptor left
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
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()  # no thread could be started, so nobody else releases the place
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnected is not worth a traceback on stderr."""


class Port(Bounded):
    """A TCP port that pages are served on."""

    # Not HTTPServer: it looks up the host's own name, which nobody needs, and a silent DNS server would delay the start.
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


class Handler(BaseHTTPRequestHandler):
    """Answers GET from `pages`, one request per connection."""

    pages: ClassVar[Pages]
    timeout = REQUEST_TIMEOUT_S
    server_version = "koordnri"
    sys_version = ""

    def do_GET(self) -> None:
        self.respond(self.answer("GET", b""))

    def answer(self, method: str, body: bytes) -> HTTPAnswer:
        """The page's answer; for an unknown path, an error that lists the known ones."""
        path, _, query = self.path.partition("?")
        page = self.pages.get(path)
        if page is None:
            paths = list(self.pages)
            return text_answer(f"not found; there are {', '.join(paths[:-1])} and {paths[-1]}\n", 404)
        if method not in page:
            return text_answer(f"not {method} but {', '.join(page)}\n", 405)
        try:
            return page[method](HTTPRequest(self.headers, body, query))
        except Exception as error:  # noqa: BLE001  # otherwise the client sees a cut connection and nobody sees the bug
            return text_answer(f"bug in koordnri: {type(error).__name__}: {error}\n", 500)

    def respond(self, answer: HTTPAnswer) -> None:
        """Send the answer."""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes and probes are not logged."""


def handler_of(handler: type[Handler], pages: Pages) -> type[Handler]:
    """The library makes a handler per connection from a class, so the pages are bound to a subclass."""
    return type(handler.__name__, (handler,), {"pages": pages})
