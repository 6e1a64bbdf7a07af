"""The HTTP port: its paths, and what clients can do to it."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from koordnri.observe.bounded import MAX_CONNECTIONS
from koordnri.observe.endpoints import health_pages, metrics_pages
from koordnri.observe.http import Server, text_answer

POLICY = {"accepted": {"revision": "µ"}, "refused": None}


class Port:
    """A server with one gauge, whose readiness the test decides."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.registry = CollectorRegistry()
        Gauge("answer", "of everything", registry=self.registry).set(42)
        health = health_pages(lambda: self.problems, lambda: self.warnings)
        self.server = Server(host, 0, {**metrics_pages(self.registry, lambda: POLICY), **health})

    def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """Status, content type, body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10)


@pytest.fixture
def port() -> Iterator[Port]:
    it = Port()
    yield it
    it.server.close()


def test_metrics_in_the_text_format(port: Port) -> None:
    status, kind, body = port.get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert "answer 42.0\n" in body


def test_metrics_as_openmetrics_when_asked(port: Port) -> None:
    status, kind, body = port.get("/metrics?x=1", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_alive_as_long_as_it_answers(port: Port) -> None:
    port.problems = ["whatever"]
    assert port.get("/healthz") == (200, "text/plain; charset=utf-8", "ok\n")


def test_ready_says_what_is_missing(port: Port) -> None:
    assert port.get("/readyz")[::2] == (200, "ok\n")
    port.problems = ["runtime: not there", "policy: bad µ", "path: a\udc80b"]
    assert port.get("/readyz")[::2] == (
        503,
        "not ready: runtime: not there\nnot ready: policy: bad µ\nnot ready: path: a?b\n",
    )


@pytest.mark.parametrize("path", ["/", "/metric", "/metrics/", "/%6detrics", "/../metrics", "/debug/pprof"])
def test_any_other_path_is_not_found_and_says_what_there_is(port: Port, path: str) -> None:
    status, _, body = port.get(path)
    assert status == 404
    assert body == "not found; there are /metrics, /v1/policy, /healthz and /readyz\n"


def test_the_state_of_the_policy_in_json(port: Port) -> None:
    status, kind, body = port.get("/v1/policy?x")
    assert (status, kind, json.loads(body)) == (200, "application/json", POLICY)


def test_only_get_is_served(port: Port) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port.server.port}/metrics", method="POST", data=b"x")
    with pytest.raises(urllib.error.HTTPError, match="501") as raised:
        urllib.request.urlopen(request, timeout=10)
    raised.value.close()


def test_a_bug_in_a_metric_shows_as_500_and_the_next_path_is_served(port: Port) -> None:
    class Broken(Collector):
        def collect(self) -> Iterator[Metric]:
            raise KeyError("gone")

    port.registry.register(Broken())
    assert port.get("/metrics")[::2] == (500, "bug in koordnri: KeyError: 'gone'\n")
    assert port.get("/healthz")[0] == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(port: Port) -> None:
    with port.connect() as silent, port.connect() as half:
        half.sendall(b"GET /metrics HT")
        assert port.get("/healthz")[0] == 200
        half.sendall(b"TP/1.0\r\n\r\n")
        assert half.recv(12) == b"HTTP/1.0 200"
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)  # still connected


def test_a_client_that_goes_away_costs_nothing(port: Port, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3 * MAX_CONNECTIONS):
        with port.connect() as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            # Reset, so that the server's write fails too.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    eventually_served(port)
    assert capfd.readouterr().err == ""


def test_whoever_has_sent_nothing_for_longest_makes_room(port: Port) -> None:
    clients = [port.connect() for _ in range(MAX_CONNECTIONS)]
    try:
        assert port.get("/healthz")[0] == 200
        assert clients[0].recv(1) == b""
        for client in clients[1:]:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.0 200"
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /metrics HTTP/1.0\r\nX: "])
def test_four_hundred_slow_clients_keep_neither_kubelet_nor_prometheus_waiting(port: Port, sent: bytes) -> None:
    clients: list[socket.socket] = []
    try:
        for _ in range(400):
            clients.append(port.connect())
            clients[-1].sendall(sent)
        assert port.get("/healthz")[0] == 200
        assert port.get("/metrics")[0] == 200
    finally:
        for client in clients:
            client.close()


def test_clients_that_do_not_take_their_answer_make_room_too() -> None:
    big = text_answer("x" * (16 << 20))  # more than the kernel's buffers hold
    server = Server("127.0.0.1", 0, {**health_pages(list), "/big": {"GET": lambda _: big}})
    clients: list[socket.socket] = []
    try:
        for _ in range(MAX_CONNECTIONS):
            clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            clients[-1].sendall(b"GET /big HTTP/1.0\r\n\r\n")
        for client in clients:
            assert client.recv(12, socket.MSG_PEEK) == b"HTTP/1.0 200", "its answer has begun"
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=60) as answer:
            assert answer.read() == b"ok\n"
    finally:
        for client in clients:
            client.close()
        server.close()


def test_a_client_that_trickles_is_cut_at_its_deadline() -> None:
    server = Server("127.0.0.1", 0, health_pages(list), patience_s=0.2)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.01) as client:
            for _ in range(10_000):  # each byte comes long before a socket's own timeout
                try:
                    client.sendall(b"G")
                    if client.recv(1) == b"":
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return
        raise AssertionError("it is still connected")
    finally:
        server.close()


def test_a_client_that_has_closed_its_half_still_gets_its_answer(port: Port) -> None:
    with port.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"\r\n\r\nok\n")


def test_nonsense_is_answered_or_let_go(port: Port) -> None:
    for nonsense in (
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n",
        b"G" * 70_000 + b"\r\n",
        b"\xff\xfe\r\n",
    ):
        with port.connect() as client:
            client.sendall(nonsense)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert port.get("/healthz")[0] == 200


def test_a_taken_port_is_an_error_at_once(port: Port) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Server("127.0.0.1", taken.getsockname()[1], health_pages(list))


def test_closing_frees_the_port() -> None:
    it = Port()
    number = it.server.port
    it.server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), timeout=10)


def test_an_ipv6_address() -> None:
    if not socket.has_ipv6:
        return
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return  # this machine has it switched off
    server = Server("::1", 0, health_pages(list))
    try:
        with urllib.request.urlopen(f"http://[::1]:{server.port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
    finally:
        server.close()


def eventually_served(port: Port) -> None:
    """Places are given back by the threads that had them, each in its own time: asks until one is free."""
    for _ in range(10_000):
        try:
            if port.get("/healthz")[0] == 200:
                return
        except (OSError, urllib.error.URLError):
            continue
    raise AssertionError("no place became free")


def test_a_warning_does_not_make_it_unready(port: Port) -> None:
    port.warnings = ["the disk is full", "so is the moon"]
    assert port.get("/readyz")[::2] == (200, "ok\nwarning: the disk is full\nwarning: so is the moon\n")
    port.problems = ["no runtime"]
    assert port.get("/readyz")[::2] == (
        *(503, "not ready: no runtime\nwarning: the disk is full\nwarning: so is the moon\n"),
    )


def test_closing_ends_the_thread_that_waits_for_clients() -> None:
    it = Port()
    it.server.close()
    assert not it.server._thread.is_alive()
