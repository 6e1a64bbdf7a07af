"""The page's port. It answers GET only, and nothing that it answers can change the node.

Whoever reaches the port sees what the control socket's questions show, so it listens on the loopback address unless it is asked to
listen elsewhere. A web page that the same browser has open must not read it:

- no answer allows another origin to read it,
- a request must name the host by an address, as localhost or as the node, because another web page can have its own name resolve to the
  loopback address (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Mapping, Set
from typing import ClassVar

from koordnri.observe.bounded import Port
from koordnri.observe.http import Handler, Pages, handler_of, json_answer
from koordnri.observe.questions import Question, pages_of
from koordnri.page.files import file_pages
from koordnri.page.streams import CONTENT_TYPE, MOST_STREAMS, Streams

CHANGES = "/v1/changes"
SHOWN = frozenset({"status", "map", "containers", "shares", "explain", "why"})
"""Questions that the page asks. The others, such as the text of the policy, need access to the control socket."""
HEADERS = {
    # Scripts, styles and data come from this port only, and nothing that is in a text of the node can become one of them.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer, errors too."""
MOST_CONNECTIONS = 2 * MOST_STREAMS
"""Half of them remain for questions."""


class PageServer:
    """Serves in its own threads until `close`.

    questions  NAME → question, as on the control socket; those of SHOWN are served
    mark       see koordnri.page.streams
    names      of the node, by which requests may call it
    """

    def __init__(
        self,
        host: str,
        port: int,
        questions: Mapping[str, Question],
        mark: Callable[[], object],
        names: Set[str] = frozenset(),
    ) -> None:
        """Binds at once; port 0 takes a free one. Raises OSError."""
        shown = {name: question for name, question in questions.items() if name in SHOWN}
        pages: Pages = {**file_pages(), **pages_of(shown)}
        self._streams = Streams(mark)
        handler = handler_of(_PageHandler, pages)
        bound = {"streams": self._streams, "names": {"", "localhost"} | {name.lower() for name in names}}
        self._server = _PagePort((host, port), type(handler.__name__, (handler,), bound))
        self._thread = threading.Thread(target=self._server.serve, name="page", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._streams.end()
        self._server.end(self._thread)


class _PagePort(Port):
    connections = MOST_CONNECTIONS


class _PageHandler(Handler):
    streams: ClassVar[Streams]
    names: ClassVar[Set[str]]

    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        if not _is_known(host := self.headers.get("Host", ""), self.names):
            text = f'expected an IP address, "localhost" or the node\'s name as the host, got "{host[:120]}"'
            self.respond(json_answer({"error": text}, 421))
        elif self.path.partition("?")[0] == CHANGES:
            self._stream()
        else:
            super().do_GET()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _stream(self) -> None:
        if not self.streams.enter():
            problem = f"{MOST_STREAMS} browsers follow this node already; ask again by hand, or close one of them"
            self.respond(json_answer({"error": problem}, 503))
            return
        try:
            self.server.places.answering(self.connection)
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.streams.run(self.connection, self._send)
        finally:
            self.streams.leave()

    def _send(self, event: bytes) -> None:
        self.stream.restart()  # the deadline is one event's, not the stream's
        self.wfile.write(event)


def _is_known(host: str, names: Set[str]) -> bool:
    """Whether a Host header names this server: by address, or by one of these names in lower case."""
    name, colon, port = host.strip().rpartition(":")
    name = (name if colon and port.isdecimal() else host.strip()).lower()
    if name in names:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
