"""The model of an API server does what a real one does to a watch."""

from __future__ import annotations

import json
from typing import Any

from koordnri.cli.bench.fleet import costs
from koordnri.cli.bench.fleet.clock import Clock
from koordnri.cli.bench.fleet.costs import Limits
from koordnri.cli.bench.fleet.server import Server
from koordnri.kube.errors import ApiRefused, Disconnected, KubeError, Unreachable
from koordnri.kube.steps import Request

LIMITS = Limits(seats=4, queue=2)


class Recorded:
    """A client that only notes what comes."""

    kind = costs.CONFIGMAP

    def __init__(self) -> None:
        self.connected = False
        self.got: list[Any] = []

    def item(self, version: int) -> str:
        return json.dumps({"metadata": {"resourceVersion": str(version)}})

    def opened(self) -> None:
        self.got.append("opened")

    def fed(self, piece: bytes) -> None:
        found = json.loads(piece)
        self.got.append(found.get("type", "list"))

    def ended(self) -> None:
        self.got.append("ended")

    def failed(self, error: KubeError) -> None:
        self.got.append(error)


def request(version: int | None = None, timeout_s: int = 100) -> Request:
    query = {} if version is None else {"watch": "1", "resourceVersion": str(version), "timeoutSeconds": str(timeout_s)}
    return Request(query, 1.0, None, lambda piece: None)


def served() -> tuple[Clock, Server, Recorded]:
    clock = Clock()
    clock.run(10.0)
    return clock, Server(clock, LIMITS), Recorded()


def test_a_list_is_answered_and_counted() -> None:
    clock, server, client = served()
    server.get(client, request())
    clock.run(11.0)
    assert client.got == ["opened", "list", "ended"]
    load = server.traffic.load(10, 11)
    assert (load.peak_requests_per_s, load.refused) == (1, 0)
    assert load.peak_bytes_per_s == costs.HANDSHAKE_BYTES + costs.HEAD_BYTES + costs.CONFIGMAP.list_bytes


def test_only_a_new_connection_costs_a_handshake() -> None:
    clock, server, client = served()
    server.get(client, request())
    clock.run(11.0)
    server.get(client, request())
    clock.run(12.0)
    assert server.traffic.load(11, 12).peak_bytes_per_s == costs.HEAD_BYTES + costs.CONFIGMAP.list_bytes


def test_a_watch_gets_changes_and_bookmarks_until_its_time_is_over() -> None:
    clock, server, client = served()
    server.get(client, request(server.version, timeout_s=100))
    clock.run(20.0)
    server.change(client)
    clock.run(200.0)
    assert client.got == ["opened", "MODIFIED", "BOOKMARK", "ended"]


def test_what_changed_between_two_watches_comes_with_the_second() -> None:
    clock, server, client = served()
    version = server.version
    clock.run(11.0)
    server.change(client)
    server.get(client, request(version))
    clock.run(12.0)
    assert client.got == ["opened", "MODIFIED"]


def test_who_comes_when_all_is_full_is_refused_with_the_time_to_come_again() -> None:
    clock, server, _ = served()
    clients = [Recorded() for _ in range(LIMITS.seats + LIMITS.queue + 1)]
    for client in clients:
        server.get(client, request())
    clock.run(11.0)
    (error,) = clients[-1].got
    assert isinstance(error, ApiRefused)
    assert (error.status, error.retry_after_s) == (429, LIMITS.retry_after_s)
    assert all(client.got[-1] == "ended" for client in clients[:-1])
    assert server.traffic.load(10, 11).refused == 1


def test_after_its_restart_no_watch_can_be_resumed() -> None:
    clock, server, client = served()
    version = server.version
    server.get(client, request(version))
    clock.run(20.0)
    server.stop()
    server.get(client, request(version))
    clock.run(21.0)
    server.start()
    server.get(client, request(version))
    clock.run(22.0)
    opened, lost, absent, expired = client.got
    assert opened == "opened"
    assert isinstance(lost, Disconnected)
    assert isinstance(absent, Unreachable)
    assert isinstance(expired, ApiRefused)
    assert expired.status == 410


def test_when_one_of_three_ends_a_third_of_the_watches_break() -> None:
    clock, server, _ = served()
    clients = [Recorded() for _ in range(3)]
    for client in clients:
        server.get(client, request(server.version))
    clock.run(11.0)
    server.disconnect(3)
    assert [isinstance(client.got[-1], Disconnected) for client in clients] == [True, False, False]
