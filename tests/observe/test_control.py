"""The control socket: what it answers, who may open it, what it leaves behind, and what a client can do to it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.observe.control import MAX_BODY_BYTES, ControlServer
from tests.observe.controlled import Controlled
from tests.reconcile.fake_node import HALVED, busy_node

HALVED_TEXT = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'
MANIFEST = (
    f"kind: ConfigMap\ndata:\n  cpu-normalization-config: '{json.dumps({'enable': True, 'defaultRatio': 2.0})}'\n"
)


class Client:
    """A control server over a fake node, and the way to it."""

    def __init__(self, directory: Path) -> None:
        self.controlled = Controlled(busy_node(2))
        self.controlled.node.run_pass()
        self.server = ControlServer(directory, self.controlled)
        self.path = self.server.path

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        try:
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status, and the answer if it is JSON, else its text. `body` is bytes or becomes JSON."""
        connection = http.client.HTTPConnection("koordnri", timeout=10)
        connection.sock = self.connect()
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text
        finally:
            connection.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    it = Client(tmp_path)
    yield it
    it.server.close()


# -- pages ------------------------------------------------------------------------------------------------------------


def test_the_policy_in_force_and_the_one_refused(client):
    state = {"accepted": {"revision": client.controlled.node.policy.revision, "source": "test", "strategies": {}}}
    assert client.ask("GET", "/v1/policy") == (200, state | {"refused": None})
    client.controlled.refused = {"source": "a file", "mistakes": [{"path": "a.b", "message": "µ"}]}
    assert client.ask("GET", "/v1/policy?x") == (200, state | {"refused": client.controlled.refused})


@pytest.mark.parametrize(
    "policy",
    [HALVED_TEXT, MANIFEST, {"cpu-normalization-config": "enable: true\ndefaultRatio: 2.0"}],
    ids=["data", "manifest", "mounted"],
)
def test_a_policy_in_any_form_is_compared_with_the_one_in_force(client, policy):
    status, found = client.ask("POST", "/v1/diff", {"policy": policy})
    assert (status, found["old"], found["pods"], found["containers"]) == (
        200, client.controlled.node.policy.revision, 5, 8
    )  # fmt: skip
    quotas = {(d["pod"], d["container"]): (d["before"], d["after"]) for d in found["differences"]}
    assert quotas["shared", None] == quotas["shared", "main"] == (100_000, 50_000)
    assert "pinned" not in {pod for pod, _ in quotas}
    assert found["remarks"] == []


def test_another_policy_stands_for_the_one_in_force_when_it_is_sent(client):
    status, found = client.ask("POST", "/v1/diff", {"policy": "{}", "against": HALVED_TEXT})
    assert status == 200
    quotas = {(d["pod"], d["container"]): (d["before"], d["after"]) for d in found["differences"]}
    assert quotas["shared", "main"] == (50_000, 100_000)


@pytest.mark.parametrize("bad", ["policy", "against"])
def test_a_policy_that_would_be_refused_is_answered_with_the_path_of_every_mistake(client, bad):
    wrong = 'cpu-burst-config: {cpuBurstPercent: 0}\nkoordnri-config: "{"\n'
    status, answer = client.ask("POST", "/v1/diff", {"policy": "{}", "against": "{}"} | {bad: wrong})
    assert (status, answer["error"]) == (400, f'"{bad}" would be refused')
    assert [m["path"] for m in answer["mistakes"]] == ["cpu-burst-config.cpuBurstPercent", "koordnri-config"]


def test_a_pod_is_given_back_with_what_its_files_had_and_have(client):
    status, answer = client.ask("POST", "/v1/release", {"pod": "shop/pinned"})
    assert status == 200
    released = {(r["container"], r["field"]): (r["before"], r["after"], r["status"]) for r in answer["released"]}
    assert released == {
        (None, "cpu.cpus"): ("2,3", "0,1,2,3,4,5,6,7", "written"),
        (None, "cpu.quota"): (-1, 200_000, "written"),
        ("main", "cpu.quota"): (-1, 200_000, "written"),
        ("main", "cpu.cpus"): ("2,3", "0,1,2,3,4,5,6,7", "written"),
    }
    assert client.ask("POST", "/v1/release", {"pod": "shop/pinned"}) == (200, {"released": []})


def test_everything_is_given_back(client):
    status, answer = client.ask("POST", "/v1/release", {"all": True})
    assert status == 200
    assert {r["pod"] for r in answer["released"]} == {"pinned", "batch"}
    client.controlled.node.set_policy(**HALVED)
    assert client.ask("POST", "/v1/release", {"all": True}) == (200, {"released": []})


def test_a_pod_that_is_not_here_is_not_found(client):
    assert client.ask("POST", "/v1/release", {"pod": "shop/gone"}) == (
        404, {"error": "shop/gone has no sandbox on this node"}
    )  # fmt: skip


def test_a_release_that_takes_too_long_is_no_bug(client):
    def hang() -> None:
        raise TimeoutError("the reconciler did not come round")

    client.controlled.meanwhile = hang
    assert client.ask("POST", "/v1/release", {"all": True}) == (503, {"error": "the reconciler did not come round"})


# -- requests that make no sense --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("diff", b"", "expected JSON: "),
        ("diff", b'{"policy": "\xff"}', "expected JSON: "),
        ("diff", b"[" * 100_000, "expected JSON: "),
        ("diff", [], "expected a JSON object"),
        ("diff", {}, '"policy": expected the text of a policy, or a mapping of its keys to texts'),
        ("diff", {"policy": {"koordnri-config": {}}}, '"policy": expected the text of a policy, or a mapping of its'),
        ("diff", {"policy": "{}", "against": 3}, '"against": expected the text of a policy'),
        ("diff", {"policy": "{}", "agianst": "{}"}, 'unknown key "agianst"; there are against, policy'),
        ("release", {}, 'expected either "pod" or "all": true'),
        ("release", {"all": False}, 'expected either "pod" or "all": true'),
        ("release", {"all": 1}, 'expected either "pod" or "all": true'),
        ("release", {"all": True, "pod": "a/b"}, 'expected either "pod" or "all": true'),
        ("release", {"pod": "b"}, '"pod": expected NAMESPACE/NAME, got "b"'),
        ("release", {"pod": "a/b/c"}, '"pod": expected NAMESPACE/NAME, got "a/b/c"'),
        ("release", {"pod": ["a/b"]}, '"pod": expected NAMESPACE/NAME, got ["a/b"]'),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_what_was_expected(client, path, body, expected):
    status, answer = client.ask("POST", f"/v1/{path}", body)
    assert status == 400
    assert answer["error"].startswith(expected)


def test_paths_and_methods_that_there_are_not(client):
    assert client.ask("GET", "/metrics") == (404, "not found; there are /v1/policy, /v1/diff and /v1/release\n")
    assert client.ask("GET", "/v1/release") == (405, "not GET but POST\n")
    assert client.ask("POST", "/v1/policy", {}) == (405, "not POST but GET\n")
    assert client.ask("DELETE", "/v1/policy")[0] == 501


def test_a_bug_is_answered_as_one_and_the_next_request_served(client):
    def bug() -> None:
        raise KeyError("gone")

    client.controlled.meanwhile = bug
    assert client.ask("POST", "/v1/diff", {"policy": "{}"}) == (500, "bug in koordnri: KeyError: 'gone'\n")
    assert client.ask("GET", "/v1/policy")[0] == 200


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_a_request_is_bounded_before_it_is_read(client):
    for length, status in (MAX_BODY_BYTES + 1, 413), (10**30, 413), ("-1", 411), ("", 411), ("many", 411):
        with client.connect() as connection:
            connection.sendall(f"POST /v1/diff HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == status
            assert json.loads(answer.read())["error"]


def test_a_body_in_pieces_of_unknown_number_is_not_taken(client):
    with client.connect() as connection:
        connection.sendall(b"POST /v1/diff HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 411"


def test_the_longest_policies_that_kubernetes_allows_are_taken(client):
    long = f"{HALVED_TEXT}#".ljust(1 << 19, "µ")  # a MiB in UTF-8, three times as much in JSON
    status, _ = client.ask("POST", "/v1/diff", {"policy": long, "against": "{}".ljust(1 << 20, "\n")})
    assert status == 200


def test_a_client_that_says_nothing_or_goes_away_keeps_nobody_waiting(client):
    with client.connect(), client.connect() as half:
        half.sendall(b"POST /v1/release HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert client.ask("GET", "/v1/policy")[0] == 200
    assert client.ask("GET", "/v1/policy")[0] == 200


def test_half_a_request_does_nothing(client):
    with client.connect() as half:
        half.sendall(b'POST /v1/release HTTP/1.1\r\nContent-Length: 14\r\n\r\n{"all": true')
        half.shutdown(socket.SHUT_WR)
        assert half.recv(1) == b""
    assert client.controlled.node.state.released == frozenset()


def test_curl_is_asked_to_go_on(client):
    with client.connect() as connection:
        connection.sendall(b"POST /v1/diff HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b'{"policy": "{}"}')
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_several_are_served_at_once(client):
    both = threading.Barrier(2, timeout=10)
    client.controlled.meanwhile = lambda: both.wait() and None
    statuses: list[int] = []
    asking = [
        threading.Thread(target=lambda: statuses.append(client.ask("POST", "/v1/diff", {"policy": "{}"})[0]))
        for _ in range(2)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert statuses == [200, 200]


# -- the socket -------------------------------------------------------------------------------------------------------


def test_the_socket_is_its_owners_alone_and_nothing_else_is_left_in_the_directory(client, tmp_path):
    assert client.path == tmp_path / "koordnri.sock"
    found = client.path.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.getuid())
    assert os.listdir(tmp_path) == ["koordnri.sock"]


def test_a_socket_that_a_dead_daemon_left_is_replaced(tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "koordnri.sock"))
    dead.close()
    client = Client(tmp_path)
    assert client.ask("GET", "/v1/policy")[0] == 200
    client.server.close()
    assert os.listdir(tmp_path) == []


def test_a_daemon_that_ends_leaves_the_socket_of_the_next_one(tmp_path):
    first, second = Client(tmp_path), Client(tmp_path)
    first.server.close()
    assert second.ask("GET", "/v1/policy")[0] == 200
    second.server.close()


def test_a_directory_of_any_length(tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = ControlServer(deep, Controlled(busy_node(2)))
    assert stat.S_ISSOCK((deep / "koordnri.sock").stat().st_mode)
    server.close()


def test_a_directory_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        ControlServer(tmp_path / "absent", Controlled(busy_node(2)))


def test_closing_is_no_error_when_the_directory_is_gone(tmp_path):
    client = Client(tmp_path)
    client.path.unlink()
    client.server.close()
    with pytest.raises(FileNotFoundError):
        client.connect()
