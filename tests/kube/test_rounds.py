"""The machine under a watch, stepped by hand: no thread, no socket, a clock that stands until a test moves it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from koordnri.kube.errors import ApiRefused, Disconnected, Unreachable
from koordnri.kube.objects import Object
from koordnri.kube.resource import Resource, itself
from koordnri.kube.restart import Restart
from koordnri.kube.rounds import Rounds
from koordnri.kube.steps import Request, Step, Wait
from koordnri.kube.timing import Timing
from tests.kube.fake_api import bookmark, configmap, line

TIMING = Timing(watch_s=300, first_pause_s=1, relist_spread_s=10)


class Credentials:
    generation = 0

    def reload(self, generation: int) -> None:
        self.generation += 1


class Names:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def replaced(self, objects: Sequence[Object]) -> None:
        self.calls.append(("replaced", [item.metadata.name for item in objects]))

    def changed(self, item: Object) -> None:
        self.calls.append(("changed", item.metadata.name))

    def deleted(self, item: Object) -> None:
        self.calls.append(("deleted", item.metadata.name))


class Stepped:
    """A machine and its steps so far."""

    def __init__(self, log: Any) -> None:
        self.now = 0.0
        self.names = Names()
        self.stop = threading.Event()
        self.rounds: Rounds[Object] = Rounds(
            Credentials(),
            Resource("configmap", "/maps", "ConfigMap", Object, itself, ""),
            self.names,
            log,
            timing=TIMING,
            uniform=lambda low, high: high,
            clock=lambda: self.now,
            stop=self.stop,
        )
        self._steps = self.rounds.steps()
        self.step: Step = next(self._steps)

    def request(self) -> Request:
        assert isinstance(self.step, Request)
        return self.step

    def answered(self, *pieces: bytes) -> None:
        """The step's request was answered with these pieces, and the answer ended."""
        request = self.request()
        request.opened()
        for piece in pieces:
            request.feed(piece)
        self.step = next(self._steps)

    def failed(self, error: Exception) -> None:
        self.step = self._steps.throw(error)

    def waited(self) -> float:
        assert isinstance(self.step, Wait)
        pause_s = self.step.pause_s
        self.now += pause_s
        self.step = next(self._steps)
        return pause_s

    def list(self) -> None:
        listed = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "10"}, "items": [configmap("9", {})]}
        self.answered(json.dumps(listed).encode())


def test_a_list_is_a_request_of_bounded_time_and_a_watch_one_without(log: Any) -> None:
    it = Stepped(log)
    assert (dict(it.request().query), it.request().within_s) == ({"limit": "500", "resourceVersion": "0"}, 30.0)
    it.list()
    assert it.names.calls == [("replaced", ["policy"])]
    assert it.rounds.synced.is_set()
    watch = it.request()
    assert (watch.query["resourceVersion"], watch.query["timeoutSeconds"], watch.within_s) == ("10", "600", None)
    assert watch.read_s == TIMING.silence_s


def test_a_watch_is_resumed_from_its_last_line_without_a_wait(log: Any) -> None:
    it = Stepped(log)
    it.list()
    it.answered(line("MODIFIED", configmap("12", {})), bookmark("ConfigMap", "40"))
    assert it.names.calls[1:] == [("changed", "policy")]
    assert it.request().query["resourceVersion"] == "40"


def test_a_compacted_version_means_a_wait_within_the_spread_and_a_list(log: Any) -> None:
    it = Stepped(log)
    it.list()
    it.failed(ApiRefused("GET /maps", 410, "too old resource version"))
    assert it.waited() == TIMING.relist_spread_s
    assert dict(it.request().query) == {"resourceVersion": "10"}
    assert it.rounds.stats.restarts[Restart.EXPIRED] == 1


def test_a_lost_connection_is_waited_for_and_resumed(log: Any) -> None:
    it = Stepped(log)
    it.list()
    it.now += 400
    it.failed(Disconnected("GET /maps: connection lost"))
    assert it.waited() == TIMING.resume_spread_s
    assert it.request().query["resourceVersion"] == "10"


def test_a_connection_that_cannot_be_made_again_is_tried_after_pauses_that_double(log: Any) -> None:
    it = Stepped(log)
    it.list()
    it.failed(Disconnected("GET /maps: connection lost"))
    pauses = []
    for _ in range(3):
        pauses.append(it.waited())
        it.failed(Unreachable("GET /maps: cannot reach it"))
    assert pauses == [TIMING.resume_spread_s, 2.0, 4.0]


def test_a_server_that_refuses_the_version_of_its_own_list_is_asked_ever_less_often(log: Any) -> None:
    it = Stepped(log)
    pauses = []
    for _ in range(6):
        it.list()
        it.failed(ApiRefused("GET /maps", 410, "too old resource version"))
        pauses.append(it.waited())
    assert pauses == [10.0, 10.0, 10.0, 10.0, 16.0, 30.0]


def test_nothing_is_handed_over_once_it_is_to_stop(log: Any) -> None:
    it = Stepped(log)
    it.list()
    it.stop.set()
    it.request().feed(line("MODIFIED", configmap("12", {})))
    assert it.names.calls == [("replaced", ["policy"])]
