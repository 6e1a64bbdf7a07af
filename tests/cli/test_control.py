"""Talking to the daemon behind its control socket, and what is reported when there is none."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.control import SOCKET_NAME, ControlError, ask, question
from koordnri.observe import control

ANSWERS: dict[str, tuple[int, bytes]] = {
    "/v1/map": (200, b'{"node": "n"}'),
    "/v1/why?pod=shop%2Fweb": (404, b'{"error": "no pod shop/web"}'),
    "/v1/diff": (400, b'{"error": "bad policy", "mistakes": [{"path": "a.b", "message": "expected 1"}, {"path": "", "message": "x"}]}'),
    "/v1/node": (500, b"<html>"),
    "/v1/pods": (500, b""),
}  # fmt: skip


class Daemon(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers as ANSWERS says, and echoes what is posted elsewhere."""

    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(*ANSWERS[self.path])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(*ANSWERS.get(self.path, (200, body)))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not on stderr."""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    with Daemon(str(tmp_path / SOCKET_NAME), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path
        server.shutdown()
        thread.join()


def test_the_socket_has_the_name_that_the_daemon_gives_it() -> None:
    assert SOCKET_NAME == control.SOCKET_NAME


def test_an_answer_is_what_the_daemon_says(state: Path) -> None:
    assert question(state, "map") == {"node": "n"}
    assert ask(state, "/v1/echo", {"a": [1]}) == {"a": [1]}


def test_a_body_of_megabytes_is_sent_whole(state: Path) -> None:
    body = "x" * (4 << 20)
    assert ask(state, "/v1/echo", body) == body


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("why", {"pod": "shop/web"}, "says: no pod shop/web"),
        ("node", {}, "says: <html>"),
        ("pods", {}, "says: status 500"),
    ],
)
def test_a_refusal_has_the_daemons_words(state: Path, name: str, parameters: dict[str, str], words: str) -> None:
    with pytest.raises(ControlError, match=words):
        question(state, name, **parameters)


def test_mistakes_of_a_policy_are_printed_before(state: Path, capsys: Any) -> None:
    with pytest.raises(ControlError, match="says: bad policy"):
        ask(state, "/v1/diff", {})
    assert capsys.readouterr().err.splitlines() == ["a.b: expected 1", "x"]


def test_a_path_of_any_length_will_do(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d" * 50] * 4)
    deep.mkdir(parents=True)
    with pytest.raises(ControlError, match="there is no such socket"):
        question(deep, "map")


def test_what_is_left_of_a_dead_daemon_is_reported(state: Path, tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    with Daemon(str(dead / SOCKET_NAME), Handler):
        pass
    with pytest.raises(ControlError, match="nobody listens there any more"):
        question(dead, "map")
    assert json.dumps(question(state, "map"))
