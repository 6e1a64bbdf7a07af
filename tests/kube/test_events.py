"""Events: one per reason and object, counted up; never in the way of whoever posts, never a flood for the API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import Api, EventSender, Timing, connect, node_target, pod_target
from koordnri.kube.event import MAX_MESSAGE
from koordnri.kube.events import ATTEMPTS, MAX_PENDING, EventLimits
from tests.kube import fake_api
from tests.kube.fake_api import Answer, FakeApi, status, whole
from tests.kube.watched import write_kubeconfig
from tests.support.waiting import eventually

POD = pod_target("ns", "web-0", "uid-1")
OK = whole(201, b'{"kind": "Event"}')
AT_ONCE = EventLimits(burst=1000, per_s=1000, repeat_s=0, node_spread_s=0)
IMPATIENT = Timing(first_pause_s=0.001, longest_pause_s=0.001)
NEVER = 1e9


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def sender(api: Api, log: Any, limits: EventLimits = AT_ONCE, **keywords: Any) -> EventSender:
    return EventSender(api, "n1", log, limits=limits, timing=IMPATIENT, **keywords)


@contextmanager
def sending(it: EventSender) -> Iterator[None]:
    it.start()
    try:
        yield
    finally:
        it.stop()


def sent(fake: FakeApi) -> list[tuple[str, str, int]]:
    """Method, reason or "", count."""
    return [(r.method, r.json.get("reason", ""), r.json["count"]) for r in fake.requests.items]


def test_an_event_on_a_pod(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    it = sender(api, log, now=lambda: 1_700_000_000.5)
    it.post(POD, "AnnotationInvalid", "annotation koordinator.sh/cpuQOS: expected an object")
    with sending(it):
        request = fake.requests.wait(1)[0]
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/ns/events")
    assert request.headers["authorization"] == "Bearer first"
    body = request.json
    name = body["metadata"].pop("name")
    assert name.startswith("web-0.")
    assert body == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "ns"},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "ns", "name": "web-0", "uid": "uid-1"},
        "reason": "AnnotationInvalid",
        "message": "annotation koordinator.sh/cpuQOS: expected an object",
        "type": "Warning",
        "source": {"component": "koordnri", "host": "n1"},
        "reportingComponent": "koordnri",
        "reportingInstance": "n1",
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "count": 1,
    }


def test_an_event_on_the_node_lives_in_default(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    it = sender(api, log)
    it.post(node_target("n1"), "PolicyAccepted", "revision 7", "Normal")
    with sending(it):
        request = fake.requests.wait(1)[0]
    assert request.path == "/api/v1/namespaces/default/events"
    assert request.json["type"] == "Normal"
    assert request.json["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1"}


def test_an_event_on_the_node_waits_a_random_part_of_the_spread_and_others_do_not_wait_for_it(
    fake: FakeApi, api: Api, log: Any
) -> None:
    """A refused policy is refused by all nodes at the same moment."""
    fake.script += [OK, OK, OK]
    clock = Clock()
    it = sender(api, log, EventLimits(node_spread_s=10), clock=clock, uniform=lambda low, high: (low + high) / 2)
    it.post(node_target("n1"), "PolicyRefused", "not JSON")
    it.post(POD, "A", "message")
    with sending(it):
        fake.requests.wait(1)
        settled(it, 1)
        assert sent(fake) == [("POST", "A", 1)]
        clock.now_s += 5.0
        it.post(POD, "B", "message")
        fake.requests.wait(3)
    assert sent(fake)[1:] == [("POST", "PolicyRefused", 1), ("POST", "B", 1)]


def test_repetitions_before_the_first_sending_are_one_event(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK, OK]
    it = sender(api, log)
    for n in range(5):
        it.post(POD, "A", f"message {n}")
    it.post(POD, "B", "another reason")
    with sending(it):
        first, second = fake.requests.wait(2)
    assert (first.json["count"], first.json["message"]) == (5, "message 4")
    assert (second.json["count"], second.json["reason"]) == (1, "B")


def test_later_repetitions_count_up_the_same_event(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK, whole(200, b"{}"), whole(200, b"{}")]
    it = sender(api, log)
    with sending(it):
        for n in range(3):
            it.post(POD, "A", f"message {n}")
            fake.requests.wait(n + 1)
            settled(it, n + 1)
    created, *patches = fake.requests.items
    path = f"/api/v1/namespaces/ns/events/{created.json['metadata']['name']}"
    assert [(r.method, r.path, r.headers["content-type"]) for r in patches] == [
        ("PATCH", path, "application/merge-patch+json")
    ] * 2
    assert [(r.json["count"], r.json["message"]) for r in patches] == [(2, "message 1"), (3, "message 2")]


def test_an_event_that_expired_is_made_again(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK, status(404, "not found"), OK]
    it = sender(api, log)
    with sending(it):
        it.post(POD, "A", "one")
        settled(it, 1)
        it.post(POD, "A", "two")
        settled(it, 2)
    assert sent(fake) == [("POST", "A", 1), ("PATCH", "", 2), ("POST", "A", 1)]


def test_an_event_that_must_have_expired_is_not_looked_for(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK, OK, OK]
    clock = Clock()
    it = sender(api, log, clock=clock)
    with sending(it):
        it.post(POD, "A", "one")
        settled(it, 1)
        clock.now_s += 3600
        it.post(POD, "A", "two")
        settled(it, 2)
    assert [r.method for r in fake.requests.items] == ["POST", "POST"]


def test_the_same_event_is_sent_again_only_after_a_while(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK] * 3
    it = sender(api, log, EventLimits(burst=100, per_s=100, repeat_s=NEVER))
    with sending(it):
        it.post(POD, "A", "one")
        settled(it, 1)
        it.post(POD, "A", "two")
        it.post(POD, "B", "other")
        settled(it, 2)
    assert sent(fake) == [("POST", "A", 1), ("POST", "B", 1)]


def test_a_burst_is_sent_and_the_rest_waits_for_its_turn(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK] * 10
    clock = Clock()
    it = sender(api, log, EventLimits(burst=3, per_s=0.2, repeat_s=0), clock=clock)
    for n in range(6):
        it.post(POD, f"R{n}", "x")
    with sending(it):
        settled(it, 3)
        clock.now_s += 10  # two more
        it.post(POD, "R6", "x")  # wakes the thread, whose clock stands otherwise
        settled(it, 5)
    assert [r.json["reason"] for r in fake.requests.items] == ["R0", "R1", "R2", "R3", "R4"]


def test_a_server_that_never_answers_keeps_nobody_waiting(fake: FakeApi, api: Api, log: Any) -> None:
    asked = threading.Event()

    async def never() -> bytes:
        asked.set()
        await fake_api.hang()
        fake_api.cut()
        return b""

    fake.script += [never]
    it = sender(api, log)
    with sending(it):
        it.post(POD, "First", "x")
        assert asked.wait(fake_api.LIMIT_S)
        for n in range(MAX_PENDING + 10):  # would not return if it waited for the answer
            it.post(POD, f"R{n}", "x")
        assert it.stats.dropped == 10
        fake.close()  # lets the request in flight end


def test_what_is_posted_while_a_request_fails_is_counted_with_it(fake: FakeApi, api: Api, log: Any) -> None:
    def fail_meanwhile() -> Answer:
        it.post(POD, "A", "later")
        it.post(POD, "A", "latest")
        return status(500, "etcd")

    fake.script += [fail_meanwhile, OK]
    it = sender(api, log)
    it.post(POD, "A", "first")
    with sending(it):
        settled(it, 1)
    assert sent(fake) == [("POST", "A", 1), ("POST", "A", 3)]
    assert fake.requests[1].json["message"] == "latest"


@pytest.mark.parametrize("code", [403, 404, 422])
def test_an_event_that_is_not_wanted_is_dropped_and_reported_in_the_log(
    fake: FakeApi, api: Api, log: Any, captured: LogCapture, code: int
) -> None:
    fake.script += [status(code, "no"), OK]
    it = EventSender(api, "n1", log, limits=AT_ONCE, timing=Timing(first_pause_s=NEVER, longest_pause_s=NEVER))
    it.post(POD, "A", "x")
    it.post(POD, "B", "x")
    with sending(it):
        settled(it, 1)  # would take for ever if a refusal of one made the others wait
    assert sent(fake) == [("POST", "A", 1), ("POST", "B", 1)]
    assert it.stats.dropped == 1
    lost = next(e for e in captured.entries if e["event"] == "kube_event_lost")
    assert (lost["reason"], lost["object"]) == ("A", "Pod web-0")


@pytest.mark.parametrize(
    "answer",
    [status(429, "slow down"), status(500, "etcd"), whole(502, b"<html>"), fake_api.watching(b"{", end="cut")],
    ids=["429", "500", "HTML", "cut"],
)
def test_an_event_that_failed_is_tried_again(fake: FakeApi, api: Api, log: Any, answer: Answer) -> None:
    fake.script += [answer, OK]
    it = sender(api, log)
    it.post(POD, "A", "x")
    with sending(it):
        settled(it, 1)
    assert sent(fake) == [("POST", "A", 1)] * 2
    assert it.stats.dropped == 0


def test_an_expired_token_is_read_again(fake: FakeApi, api: Api, log: Any, kubeconfig: Path) -> None:
    fake.script += [status(401, "Unauthorized"), OK]
    it = sender(api, log)
    it.post(POD, "A", "x")
    (kubeconfig.parent / "token").write_text("second")
    with sending(it):
        settled(it, 1)
    assert [r.headers["authorization"] for r in fake.requests.items] == ["Bearer first", "Bearer second"]


def test_an_event_that_always_fails_is_given_up(tmp_path: Path, log: Any, captured: LogCapture) -> None:
    with FakeApi() as fake:
        url = fake.url  # nobody listens there afterwards
    it = sender(connect(write_kubeconfig(tmp_path, url)), log)
    it.post(POD, "A", "x")
    with sending(it):
        eventually(lambda: it.stats.dropped == 1, "one Event dropped")
    assert [e["event"] for e in captured.entries] == ["kube_event_lost"]
    assert ATTEMPTS > 1


def test_nonsense_in_a_message_is_cut_and_stays_json(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    it = sender(api, log)
    it.post(pod_target("ns", "n" * 253, "u"), "A", "\x00\n\udcff\U0001f600" * 5000)
    with sending(it):
        body = fake.requests.wait(1)[0].json
    assert len(body["message"]) == MAX_MESSAGE
    assert len(body["metadata"]["name"]) <= 253
    assert json.dumps(body)


def settled(it: EventSender, count: int) -> None:
    """Wait until that many requests have succeeded, and what follows from them is noted."""
    eventually(lambda: it.stats.sent >= count, f"{count} Events sent")
