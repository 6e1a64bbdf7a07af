"""HTTP pages and the server of a TCP port. A page is a function from a request to an answer.

The control socket (koordnri.observe.control) and the page for browsers (koordnri.page) use the same handler for their pages.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, NamedTuple

from koordnri.observe.bounded import Bounded, Port
from koordnri.observe.certificate import Certificate
from koordnri.observe.timed import TimedStream

PATIENCE_S = 10.0
"""A client has so long to send its request, and as long again to take the answer."""
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
    headers: tuple[tuple[str, str], ...] = ()
    """further ones"""


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
    """Serves pages on a TCP port in its own threads until `close`.

    certificate  None: without TLS
    patience_s   how long a client may take to send its request, and to take its answer
    """

    def __init__(
        self,
        host: str,
        port: int,
        pages: Pages,
        certificate: Certificate | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Binds at once; port 0 takes a free one. Raises OSError."""
        handler = type("_PortHandler", (handler_of(Handler, pages),), {"patience_s": patience_s})
        self._server = Port((host, port), handler, certificate)
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.end(self._thread)


class Handler(BaseHTTPRequestHandler):
    """Answers GET from `pages`, one request per connection."""

    pages: ClassVar[Pages]
    patience_s: ClassVar[float] = PATIENCE_S
    server: Bounded
    server_version = "koordnri"
    sys_version = ""

    def setup(self) -> None:
        self.connection = self.request
        self.stream = TimedStream(self.connection, self.patience_s)
        self.rfile = io.BufferedReader(self.stream)
        self.wfile = self.stream  # type: ignore[assignment]  # unbuffered, as the library's own writer

    def finish(self) -> None:
        self.rfile.close()

    def do_GET(self) -> None:
        self.respond(self.answer("GET", b""))

    def answer(self, method: str, body: bytes) -> HTTPAnswer:
        """The page's answer; for an unknown path, an error that lists the known ones."""
        self.server.places.answering(self.connection)
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
        self.server.places.sending(self.connection)
        self.stream.restart()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes and probes are not logged."""


def handler_of(handler: type[Handler], pages: Pages) -> type[Handler]:
    """The library makes a handler per connection from a class, so the pages are bound to a subclass."""
    return type(handler.__name__, (handler,), {"pages": pages})
