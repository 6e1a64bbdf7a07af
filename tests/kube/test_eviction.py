"""Requests to evict pods, against a fake API server. The real one's manners are tested in test_real_eviction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from koordnri.kube import Api, EvictionAnswer, EvictionSender, Outcome, Timing, pod_target
from koordnri.kube.errors import ApiRefused
from koordnri.kube.eviction import MAX_QUEUED, outcome_of
from tests.kube.fake_api import FakeApi, Seen, hang, status, whole

OK = whole(201, b'{"kind": "Status", "status": "Success"}', Content_Type="application/json")
POD = pod_target("shop", "batch", "uid-1")
OVER_BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."
NO_RIGHT = (
    'pods "batch" is forbidden: User "x" cannot create resource "pods/eviction" in API group "" in the namespace "shop"'
)


class Sending:
    """A sender, what it reported, and the bug that ended it."""

    def __init__(self, api: Api, log: Any) -> None:
        self.answers: Seen[EvictionAnswer] = Seen()
        self.deaths: Seen[BaseException] = Seen()
        timing = Timing(connect_s=5, answer_s=0.5)
        self.unwanted: set[str] = set()
        self.sender = EvictionSender(
            api, self.answers.append, log, self.deaths.append, lambda uid: uid not in self.unwanted, timing=timing
        )


@pytest.fixture
def sending(api: Api, log: Any) -> Iterator[Sending]:
    it = Sending(api, log)
    yield it
    it.sender.stop()


def test_a_request_names_the_pod_and_its_uid(fake: FakeApi, sending: Sending) -> None:
    fake.script += [OK]
    assert sending.sender.ask(POD)
    sending.sender.start()
    [answer] = sending.answers.wait(1)
    assert answer == EvictionAnswer("uid-1", Outcome.EVICTED)
    [request] = fake.requests.items
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/shop/pods/batch/eviction")
    assert request.json == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": "shop", "name": "batch"},
        "deleteOptions": {"preconditions": {"uid": "uid-1"}},
    }


def test_an_older_api_server_is_asked_in_its_own_version_from_then_on(fake: FakeApi, sending: Sending) -> None:
    unknown = 'Eviction in version "v1" cannot be handled as a Eviction: no kind "Eviction" is registered'
    fake.script += [status(400, unknown), OK, OK]
    sending.sender.start()
    for _ in range(2):
        sending.sender.ask(POD)
    assert [one.outcome for one in sending.answers.wait(2)] == [Outcome.EVICTED, Outcome.EVICTED]
    versions = [request.json["apiVersion"] for request in fake.requests.items]
    assert versions == ["policy/v1", "policy/v1beta1", "policy/v1beta1"]


def test_every_request_has_one_answer_and_none_is_sent_again(fake: FakeApi, sending: Sending) -> None:
    fake.script += [status(429, OVER_BUDGET, Retry_After="10"), status(404, 'pods "batch" not found'), OK]
    for uid in ("1", "2", "3"):
        sending.sender.ask(pod_target("shop", "batch", uid))
    sending.sender.start()
    assert [(one.uid, one.outcome, one.retry_after_s) for one in sending.answers.wait(3)] == [
        ("1", Outcome.BUDGET, 10.0),
        ("2", Outcome.GONE, None),
        ("3", Outcome.EVICTED, None),
    ]
    assert len(fake.requests) == 3


def test_an_expired_token_is_read_again_once(fake: FakeApi, sending: Sending) -> None:
    fake.script += [status(401, "Unauthorized"), OK, status(401, "Unauthorized"), status(401, "Unauthorized")]
    sending.sender.start()
    sending.sender.ask(POD)
    sending.sender.ask(POD)
    assert [one.outcome for one in sending.answers.wait(2)] == [Outcome.EVICTED, Outcome.UNREACHABLE]
    assert len(fake.requests) == 4


def test_a_server_that_does_not_answer_costs_that_request_and_no_more(fake: FakeApi, sending: Sending) -> None:
    fake.script += [hang, OK]
    sending.sender.start()
    sending.sender.ask(POD)
    sending.sender.ask(POD)
    assert [one.outcome for one in sending.answers.wait(2)] == [Outcome.UNREACHABLE, Outcome.EVICTED]


def test_a_pod_that_is_not_to_be_evicted_any_more_when_its_turn_comes_is_not_asked_for(
    fake: FakeApi, sending: Sending
) -> None:
    fake.script += [OK]
    for uid in ("1", "2"):
        sending.sender.ask(pod_target("shop", "batch", uid))
    sending.unwanted = {"1"}
    sending.sender.start()
    assert sending.answers.wait(2) == [EvictionAnswer("1", Outcome.WITHDRAWN), EvictionAnswer("2", Outcome.EVICTED)]
    assert len(fake.requests) == 1


def test_a_full_queue_says_so_and_never_blocks(sending: Sending) -> None:
    assert all(sending.sender.ask(POD) for _ in range(MAX_QUEUED))
    assert not sending.sender.ask(POD)


def test_a_bug_in_who_takes_the_answer_is_reported(fake: FakeApi, api: Api, log: Any) -> None:
    def fail(answer: EvictionAnswer) -> None:
        raise ValueError(answer.uid)

    fake.script += [OK]
    deaths: Seen[BaseException] = Seen()
    sender = EvictionSender(api, fail, log, deaths.append)
    sender.start()
    sender.ask(POD)
    [death] = deaths.wait(1)
    assert isinstance(death, ValueError)
    sender.stop()


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (404, 'pods "batch" not found', Outcome.GONE),
        (409, "Precondition failed: UID in precondition: 1, UID in object meta: 2", Outcome.REPLACED),
        (403, NO_RIGHT, Outcome.FORBIDDEN),
        (403, 'admission webhook "protect" denied the request: not this one', Outcome.REFUSED),
        (429, OVER_BUDGET, Outcome.BUDGET),
        (429, "too many requests, please try again later", Outcome.UNREACHABLE),
        (429, 'admission webhook "slow" denied the request: not so many', Outcome.REFUSED),
        (401, "Unauthorized", Outcome.UNREACHABLE),
        (500, "This pod has more than one PodDisruptionBudget", Outcome.REFUSED),
        (503, "etcd leader changed", Outcome.UNREACHABLE),
    ],
)
def test_what_a_refusal_means(code: int, message: str, expected: Outcome) -> None:
    assert outcome_of(ApiRefused("POST /x", code, message)) is expected
