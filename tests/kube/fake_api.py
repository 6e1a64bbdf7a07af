"""A fake API server: kmock over real HTTP (or TLS) on loopback. It answers request after request as the test's script says.

The real one's manners are tested against a real kube-apiserver elsewhere; this one is for the faults that a real one does not
produce on demand. kmock lives in asyncio, what is tested in threads: so each server has a loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import kmock
from aiohttp.test_utils import RawTestServer
from aiohttp.web import BaseRequest, StreamResponse

T = TypeVar("T")
Json = dict[str, Any]
Answer = Any
"""whatever kmock can serve: a Response, bytes, a tuple that is streamed, a callable that returns one of these"""
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


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client_port: int

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "1"

    @property
    def json(self) -> Json:
        parsed: Json = json.loads(self.body)
        return parsed


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request that is being answered, as far as an answer must know it."""

    transport: asyncio.Transport
    closing: asyncio.Event


_current: ContextVar[Exchange] = ContextVar("_current")


def whole(status: int, body: bytes, **headers: str) -> Answer:
    """Any answer at all."""
    return kmock.Response(status=status, headers=_headers(headers), payload=body)


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


async def hang() -> None:
    """In an answer: nothing more until the test is over."""
    await _current.get().closing.wait()


def cut() -> None:
    """In an answer: end the connection after what was sent, however unfinished."""
    _current.get().transport.close()


def watching(*pieces: bytes, end: str = "end") -> Answer:
    """A watch that sends these pieces. end: `end` properly, `cut` the connection, or `hang` until the test is over."""
    ends = {"end": (), "cut": (cut,), "hang": (hang,)}
    # The empty piece sends the head, which would wait for the first other one.
    return _stream(b"", *pieces, *ends[end])


def hanging() -> Answer:
    """A healthy watch in which nothing happens."""
    return watching(end="hang")


def dripping(piece: bytes) -> Answer:
    """The same piece again and again, until the client has had enough."""

    async def drip() -> AsyncIterator[bytes]:
        while not _current.get().closing.is_set():
            yield piece
            await asyncio.sleep(0.01)

    return _stream(b"", drip)


def unchunked(body: bytes) -> Answer:
    """An answer whose end is that of its connection, as proxies of HTTP/1.0 send it; kmock has none."""

    def send() -> bytes:
        _current.get().transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        cut()
        return b""  # for kmock, which finds the connection closed

    return _stream(send)


class Live:
    """A watch that sends what the test gives it, at once. Any thread may give."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: list[bytes | None] = []
        self._wake: Callable[[], object] = lambda: None

    def send(self, *pieces: bytes | None) -> None:
        with self._lock:
            self._pieces += pieces
            self._wake()

    def end(self) -> None:
        self.send(None)

    @property
    def answer(self) -> Answer:
        return _stream(b"", self._follow)

    async def _follow(self) -> AsyncIterator[bytes]:
        reported, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._lock:
            self._wake = lambda: loop.call_soon_threadsafe(reported.set)
        reported.set()
        while True:
            await reported.wait()
            reported.clear()
            with self._lock:
                pieces, self._pieces = self._pieces, []
            for piece in pieces:
                if piece is None:
                    return
                yield piece


def _stream(*pieces: Any) -> Answer:
    return kmock.Response(status=200, headers={"Content-Type": "application/json"}, payload=pieces)


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def kmocks_path(path: str) -> str:
    """The path under which kmock has a request: it fails at the collection of Namespaces, for it expects the name of one there."""
    return "/namespaces" if path == "/api/v1/namespaces" else path


class _Handler(kmock.RawHandler):
    """kmock's, with what its answers know of the request, and with the requests reported to the test as they come."""

    def __init__(self, saw: Callable[[Request], object]) -> None:
        super().__init__()
        self.saw = saw
        self.closing = asyncio.Event()

    async def __call__(self, raw_request: BaseRequest) -> StreamResponse:
        transport = raw_request.transport
        assert isinstance(transport, asyncio.Transport)
        _current.set(Exchange(transport, self.closing))
        headers = {name.lower(): value for name, value in raw_request.headers.items()}
        port = transport.get_extra_info("peername")[1]
        body = await raw_request.read()
        self.saw(Request(raw_request.method, raw_request.path, dict(raw_request.query), headers, body, port))
        if (path := kmocks_path(raw_request.path)) != raw_request.path:
            raw_request = raw_request.clone(rel_url=raw_request.rel_url.with_path(path, keep_query=True))
        return await super().__call__(raw_request)


class Script:
    """The answers to the next requests, whatever these are. Beyond them: a watch in which nothing happens."""

    def __init__(self, fake: FakeApi) -> None:
        self._fake = fake
        self._length = 0

    def __iadd__(self, answers: Iterable[Answer]) -> Script:
        for answer in answers:
            at = self._length = max(self._length, len(self._fake.requests))
            self._fake.answer(lambda handler, at=at: handler[at : at + 1], answer)
            self._length += 1
        return self


class FakeApi:
    """Serves until closed: kmock, in a thread of its own."""

    def __init__(
        self, script: Iterable[Answer] = (), *, certificate: tuple[Path, Path] | None = None, port: int = 0
    ) -> None:
        self.requests: Seen[Request] = Seen()
        self.script = Script(self)
        self.port = port
        self._scheme = "http" if certificate is None else "https"
        self._first = script
        self._lives: list[Live] = []
        self._servers: dict[str, Any] = {} if certificate is None else {"server_cls": _over_tls(*certificate)}

    def __enter__(self) -> FakeApi:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._start())
        self.script += self._first
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Again is no mistake."""
        if self._loop.is_closed():
            return
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def answer(self, which: Callable[[kmock.RawHandler], kmock.View], answer: Answer) -> None:
        """To the requests that `which` picks of kmock's."""

        async def add() -> None:
            if isinstance(answer, Live):
                self._lives.append(answer)
            _ = which(self._handler) << (answer.answer if isinstance(answer, Live) else answer)

        self._do(add())

    def _do(self, job: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(LIMIT_S)

    async def _start(self) -> None:
        self._handler = await _Handler(self.requests.append).__aenter__()
        self._server = await kmock.Server(self._handler, port=self.port, **self._servers).__aenter__()
        self.port = self._server.port
        _ = self._handler.fallback << hanging()

    async def _stop(self) -> None:
        # Lets the answers end that would wait for ever.
        self._handler.closing.set()
        for live in self._lives:
            live.end()
        await self._server.__aexit__(None, None, None)
        await self._handler.__aexit__(None, None, None)


def _over_tls(chain: Path, key: Path) -> type[RawTestServer]:
    class Secure(RawTestServer):
        async def start_server(self, **more: Any) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            await super().start_server(ssl=context, **more)

    return Secure


def configmap(version: str, data: dict[str, str] | None, name: str = "policy", kind: str = "ConfigMap") -> Json:
    """As it appears in a watch."""
    metadata = {"name": name, "namespace": "koordnri-system", "resourceVersion": version, "uid": "cm-1"}
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata, **({} if data is None else {"data": data})}
