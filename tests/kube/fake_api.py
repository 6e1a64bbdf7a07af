"""A fake API server: real HTTP (or TLS) on loopback, no API behind it. It answers request after request as the test's script says.

The real one's manners are tested against a real kube-apiserver elsewhere; this one is for the faults that a real one does not
produce on demand.
"""

from __future__ import annotations

import json
import queue
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

T = TypeVar("T")
Json = dict[str, Any]
Answer = Callable[["Exchange"], None]
LIMIT_S = 20.0
"""No test waits longer than this for anything."""


class Seen(Generic[T]):
    """A list that a test can wait on."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._condition = threading.Condition()

    def append(self, item: T) -> None:
        with self._condition:
            self.items.append(item)
            self._condition.notify_all()

    def until(self, met: Callable[[list[T]], bool]) -> list[T]:
        """Wait until it is so; the items."""
        with self._condition:
            assert self._condition.wait_for(lambda: met(self.items), LIMIT_S), f"did not happen; seen: {self.items}"
            return list(self.items)

    def wait(self, count: int) -> list[T]:
        """Wait for that many items; all of them."""
        return self.until(lambda items: len(items) >= count)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]


def eventually(met: Callable[[], bool]) -> bool:
    """Poll, for what nobody announces. False when it did not become so in time."""
    deadline = time.monotonic() + LIMIT_S
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "1"

    @property
    def json(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed


class Exchange:
    """One request, on the server's side."""

    def __init__(self, handler: BaseHTTPRequestHandler, request: Request, closing: threading.Event) -> None:
        self.request = request
        self.closing = closing
        self._handler = handler

    def head(self, status: int, **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def whole(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, Content_Length=str(len(body)), **headers)
        self.write(body)

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    @property
    def client_port(self) -> int:
        port: int = self._handler.client_address[1]
        return port

    def hang_up(self) -> None:
        self._handler.close_connection = True


def whole(status: int, body: bytes, **headers: str) -> Answer:
    """Any answer at all."""
    return lambda exchange: exchange.whole(status, body, **headers)


def status(code: int, message: str, **headers: str) -> Answer:
    """A refusal, as the API server words it."""
    return whole(code, json.dumps(status_object(code, message)).encode(), Content_Type="application/json", **headers)


def status_object(code: int, message: str) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def listing(kind: str, version: str, *items: Json) -> Answer:
    """A list, whose items have no kind, as with the real one."""
    body = {"kind": f"{kind}List", "metadata": {"resourceVersion": version}, "items": items}
    return whole(200, json.dumps(body).encode(), Content_Type="application/json")


def line(type_: str, item: Json) -> bytes:
    return json.dumps({"type": type_, "object": item}).encode() + b"\n"


def bookmark(kind: str, version: str) -> bytes:
    return line("BOOKMARK", {"kind": kind, "metadata": {"resourceVersion": version, "creationTimestamp": None}})


def watching(*pieces: bytes, end: str = "end", chunked: bool = True) -> Answer:
    """A watch that sends these pieces. end: `end` properly, `cut` the connection, or `hang` until the test is over."""

    def answer(exchange: Exchange) -> None:
        if chunked:
            exchange.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
        else:
            exchange.head(200, Content_Type="application/json", Connection="close")
        for piece in pieces:
            (exchange.chunk if chunked else exchange.write)(piece)
        if end == "hang":
            exchange.closing.wait(LIMIT_S)
        if end != "end" or not chunked:
            exchange.hang_up()
        else:
            exchange.chunk(b"")

    return answer


def hanging() -> Answer:
    """A healthy watch in which nothing happens."""
    return watching(end="hang")


class Live:
    """A watch that sends what the test tells it to, when it tells it to."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._queue.put(piece)

    def end(self) -> None:
        self._queue.put(None)

    def __call__(self, exchange: Exchange) -> None:
        exchange.head(200, Content_Type="application/json", Transfer_Encoding="chunked")
        while (piece := self._queue.get(timeout=LIMIT_S)) is not None:
            exchange.chunk(piece)
        exchange.chunk(b"")


class Quiet(ThreadingHTTPServer):
    """Clients that hang up in the middle are what many tests are about."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on as it came


@dataclass
class FakeApi:
    """Serves until closed. Requests beyond the script get a watch in which nothing happens."""

    script: list[Answer] = field(default_factory=list)
    requests: Seen[Request] = field(default_factory=Seen)
    certificate: tuple[Path, Path] | None = None
    port: int = 0

    def __enter__(self) -> FakeApi:
        self._closing = threading.Event()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _serve(self) -> None:
                fake._serve(self)

            def __getattr__(self, name: str) -> object:
                if name in {"do_GET", "do_POST", "do_PATCH"}:
                    return self._serve
                raise AttributeError(name)

        self._server = Quiet(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Again is no mistake."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LIMIT_S)

    @property
    def url(self) -> str:
        return f"{'http' if self.certificate is None else 'https'}://127.0.0.1:{self.port}"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command or "", url.path, dict(parse_qsl(url.query)), headers, body)
        with self._lock:
            answer = self.script.pop(0) if self.script else hanging()
        self.requests.append(request)
        try:
            answer(Exchange(handler, request, self._closing))
        except OSError:  # the client has gone, which is what many tests are about
            handler.close_connection = True


def configmap(version: str, data: dict[str, str] | None, name: str = "policy", kind: str = "ConfigMap") -> Json:
    """As it appears in a watch."""
    metadata = {"name": name, "namespace": "koordnri-system", "resourceVersion": version, "uid": "cm-1"}
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata, **({} if data is None else {"data": data})}
