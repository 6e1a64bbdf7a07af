"""Pages of the port that the daemon listens on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from koordnri.cli.listening import page

PAGES = {"/metrics": (200, b"a 1\n"), "/readyz": (503, b"not ready\xff"), "/v1/policy": (401, b"a token")}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = PAGES.get(self.path, (404, b"no such page"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not on stderr."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_who_listens_everywhere_is_asked_at_home(port: int, host: str) -> None:
    assert page(f"{host}:{port}", "/metrics") == "a 1\n"


def test_a_page_counts_whatever_its_status_and_bytes(port: int) -> None:
    assert page(f"127.0.0.1:{port}", "/readyz") == "not ready\ufffd"


def test_a_page_that_is_not_there_or_takes_a_token_is_none(port: int) -> None:
    assert page(f"127.0.0.1:{port}", "/v1/status") is None
    assert page(f"127.0.0.1:{port}", "/v1/policy") is None


@pytest.mark.parametrize("listen", ["off", "", "127.0.0.1:1", "[::1]:1"])
def test_where_nobody_listens_there_is_no_page(listen: str) -> None:
    assert page(listen, "/metrics") is None
