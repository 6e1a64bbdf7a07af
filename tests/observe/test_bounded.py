"""A server whose accepting thread meets errors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from koordnri.observe.bounded import Port


class Handler(BaseHTTPRequestHandler):
    """Answers everything with nothing."""

    def handle(self) -> None:
        self.wfile.write(b"served")


class Server(Port):
    """Fails as often as it is to."""

    def __init__(self) -> None:
        self.fails: dict[str, list[Exception]] = {"get_request": [], "process_request": []}
        super().__init__(("127.0.0.1", 0), Handler)

    def get_request(self) -> Any:
        found = super().get_request()
        if self.fails["get_request"]:
            found[0].close()
            raise self.fails["get_request"].pop()
        return found

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.fails["process_request"]:
            raise self.fails["process_request"].pop()
        super().process_request(request, client_address)


@pytest.fixture
def server() -> Iterator[Server]:
    it = Server()
    thread = threading.Thread(target=it.serve)
    thread.start()
    yield it
    it.end(thread)


def ask(server: Server) -> bytes:
    with socket.create_connection(server.server_address[:2], timeout=30) as client:
        try:
            return client.recv(100)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("get_request", OSError(24, "no file descriptor left")),
        ("get_request", OSError("the client has gone")),
        ("process_request", RuntimeError("no thread can be started")),
    ],
)
def test_a_client_that_cannot_be_served_does_not_end_the_server(server: Server, step: str, error: Exception) -> None:
    server.fails[step].append(error)
    assert ask(server) == b""
    assert ask(server) == b"served"


def test_a_place_is_free_again_when_no_thread_could_be_started(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    start, failed = threading.Thread.start, []

    def fails(thread: threading.Thread) -> None:
        if len(failed) < 2 * server.connections:
            failed.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fails)
    assert {ask(server) for _ in range(2 * server.connections)} == {b""}
    assert ask(server) == b"served"
