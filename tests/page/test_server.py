"""The page's port: what it answers to whom."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from koordnri.observe.questions import BadQuestion, NotHere, Parameters
from koordnri.page.server import HEADERS, PageServer
from koordnri.page.streams import MOST_STREAMS

HOSTILE = '<script>alert("1")</script>'


class Port:
    """A page with one question, on a port of its own."""

    def __init__(self) -> None:
        self.mark = 0
        self.server = PageServer(
            "127.0.0.1", 0, {"explain": self._echo, "node": self._echo}, lambda: self.mark, {"Node-1"}
        )

    def _echo(self, parameters: Parameters) -> Any:
        if "bad" in parameters:
            raise BadQuestion(f"bad: {parameters['bad']}")
        if "gone" in parameters:
            raise NotHere(f"gone: {parameters['gone']}")
        if "bug" in parameters:
            raise KeyError(parameters["bug"])
        return dict(parameters)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        """Status, headers, body."""
        connection, answer = self.open(path, method, **headers)
        try:
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def open(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPConnection, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request(method, path, headers=headers)
        return connection, connection.getresponse()


@pytest.fixture
def port() -> Iterator[Port]:
    it = Port()
    yield it
    it.server.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/v1/explain", "application/json"),
    ],
)
def test_files_and_questions(port: Port, path: str, kind: str) -> None:
    status, headers, body = port.get(path)
    assert (status, headers["Content-Type"]) == (200, kind)
    assert body


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("/v1/explain", "GET", 200),
        ("/v1/explain?bad=x", "GET", 400),
        ("/v1/none", "GET", 404),
        ("/v1/explain?bug=x", "GET", 500),
        ("/v1/explain", "POST", 501),
    ],
)
def test_every_answer_has_the_headers_that_protect_the_reader(port: Port, path: str, method: str, status: int) -> None:
    found, headers, _ = port.get(path, method)
    assert found == status
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "Access-Control-Allow-Origin" not in headers


def test_the_content_policy_allows_nothing_inline_and_nothing_from_elsewhere(port: Port) -> None:
    policy = port.get("/")[1]["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert {name: text for name, text in directives.items() if name.endswith("-src") and name != "default-src"} == {
        "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'", "img-src": "'self'",
    }  # fmt: skip
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == "'none'"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_only_get_is_served(port: Port, method: str) -> None:
    assert port.get("/v1/explain", method)[0] == 501


@pytest.mark.parametrize(
    "path",
    [
        "/v1/release", "/v1/diff", "/v1/node", "/v1/policy", "/metrics",
        "/index.html", "/files/page.js", "/../server.py", "/..%2fserver.py", "/page.js/",
        "/%70age.js", "/v1/", "/v1/changes/",
    ],
)  # fmt: skip
def test_any_other_path_is_not_found(port: Port, path: str) -> None:
    assert port.get(path)[0] == 404


def test_hostile_input_comes_back_as_json_only(port: Port) -> None:
    asked = urllib.parse.quote(HOSTILE)
    for name, status in (("bad", 400), ("gone", 404)):
        found, headers, body = port.get(f"/v1/explain?{name}={asked}")
        assert (found, headers["Content-Type"]) == (status, "application/json")
        assert json.loads(body) == {"error": f"{name}: {HOSTILE}"}
    _, headers, body = port.get(f"/{asked}")
    assert headers["Content-Type"].startswith("text/plain")
    assert HOSTILE.encode() not in body


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9317",
        "localhost:9317",
        "LOCALHOST",
        "10.1.2.3:80",
        "[::1]:9317",
        "[fd00::1]",
        "node-1",
        "NODE-1:9317",
        "",
    ],
)
def test_hosts_that_no_other_web_page_can_be(port: Port, host: str) -> None:
    assert port.get("/v1/explain", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9317",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "node-2",
        "[::1",
        ":9317x",
    ],
)
def test_a_name_that_another_web_page_may_have_is_refused(port: Port, host: str) -> None:
    for path in ("/", "/v1/explain", "/v1/changes"):
        status, _, body = port.get(path, Host=host)
        assert status == 421
        assert "expected an IP address" in json.loads(body)["error"]


def test_a_change_reaches_who_follows(port: Port) -> None:
    connection, answer = port.open("/v1/changes")
    try:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.readline() == b"retry: 3000\n"  # the first mark has been taken
        port.mark = 1
        assert [answer.readline() for _ in range(3)] == [b"\n", b"event: changed\n", b"data: \n"]
    finally:
        connection.close()


def test_followers_are_bounded_and_questions_have_room_beside_them(port: Port) -> None:
    following = [port.open("/v1/changes") for _ in range(MOST_STREAMS)]
    try:
        for _, answer in following:
            assert answer.readline()
        status, _, body = port.get("/v1/changes")
        assert status == 503
        assert "follow this node already" in json.loads(body)["error"]
        assert port.get("/v1/explain?a=b")[0] == 200
    finally:
        for connection, answer in following:
            answer.close()
            connection.close()
