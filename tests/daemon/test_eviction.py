"""What becomes of the pods that the controller chooses."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from koordnri.control.finding import Cause, Finding, Resource, Suspect
from koordnri.control.signals import PodSignals
from koordnri.daemon.eviction import LEAVING_S, NO_API, STALE_S, Eviction
from koordnri.kube import EvictionAnswer, Outcome
from koordnri.kube.event import Target
from koordnri.model import NodeState
from koordnri.model.pod import PodSpec
from koordnri.policy import Policy
from tests.control.evicted_node import LONG_AGO_S, evicting, node, running
from tests.daemon.sent_events import SentEvents
from tests.support.policies import policy_of

ENFORCE = evicting({"perMinute": 60, "burst": 100})
OBSERVE = evicting({"mode": "observe", "perMinute": 60, "burst": 100})


class Node:
    """80 of 100 GiB are used, of which `a` and `b` have 20 each: either is enough."""

    def __init__(self, *, api: bool = True, released: str = "") -> None:
        self.asked: list[str] = []
        self.released = released
        self.at_s = LONG_AGO_S
        self.sent: list[tuple[str, str, str]] = []
        self.events = SentEvents(self.sent, announced=True)
        self.captured = LogCapture()
        log: Any = structlog.wrap_logger(None, processors=[self.captured])
        self.eviction = Eviction(
            self._ask if api else None,
            lambda pod: pod.name == self.released,
            self.events,
            log,
            lambda: self.at_s,
        )
        self.pods: dict[str, PodSignals] = {name: running(name, memory=20) for name in ("a", "b")}
        self.full = False

    def _ask(self, pod: Target) -> bool:
        self.asked.append(pod.name)
        return not self.full

    def tick(self, at_s: float, policy: Policy = ENFORCE, memory: float = 80) -> list[str]:
        """Names of the pods whose eviction was asked for in this tick."""
        begun, self.at_s = len(self.asked), at_s
        self.eviction.step(node(*self.pods.values(), at_s=at_s, memory=memory), policy, NodeState())
        return self.asked[begun:]

    def answer(self, name: str, outcome: Outcome, message: str = "", retry_after_s: float | None = None) -> None:
        """Within a second after the last tick."""
        self.eviction.answered(EvictionAnswer(f"uid-{name}", outcome, message, retry_after_s))

    def reasons(self) -> list[tuple[str, str]]:
        return [(pod, reason) for pod, reason, _ in self.sent]


def test_an_eviction_is_counted_logged_and_sent_as_an_event_with_its_reason() -> None:
    it = Node()
    assert it.tick(0) == ["a"]
    assert it.reasons() == []
    it.answer("a", Outcome.EVICTED)
    it.tick(4)
    assert it.eviction.counts == {("BEMemoryEvict", "evicted"): 1}
    [(pod, reason, message)] = it.sent
    assert (pod, reason) == ("a", "Evicted")
    assert message.startswith("BEMemoryEvict: the node uses 80.00 GiB of 100.00 GiB of memory")
    lines = it.captured.entries
    assert [(line["event"], line["pod"], line["uid"]) for line in lines] == [
        ("evicting", "shop/a", "uid-a"),
        ("evicted", "shop/a", "uid-a"),
    ]
    assert it.eviction.last is not None
    assert it.eviction.last[:3] == ("shop/a", "BEMemoryEvict", "evicted")


def test_an_evicted_pod_counts_as_leaving_until_it_is_gone() -> None:
    it = Node()
    it.tick(0)
    it.answer("a", Outcome.EVICTED)
    assert [it.tick(at_s) for at_s in (4.0, 60.0)] == [[], []]
    del it.pods["a"]
    assert it.tick(61) == ["b"]
    assert list(it.eviction._cases) == ["uid-b"]


def test_one_that_does_not_leave_counts_no_longer_and_is_reported() -> None:
    it = Node()
    it.tick(0)
    it.answer("a", Outcome.EVICTED)
    it.pods["a"] = running("a", memory=20, spec=PodSpec({}, leaving=True))
    assert it.tick(LEAVING_S - 1) == []
    assert it.tick(LEAVING_S) == ["b"]
    it.tick(2 * LEAVING_S)
    assert [line["event"] for line in it.captured.entries].count("eviction_stuck") == 2  # a, and then b


@pytest.mark.parametrize("by_us", [True, False])
def test_a_deleted_pod_that_does_not_leave_counts_no_longer_whoever_deleted_it(by_us: bool) -> None:
    it = Node()
    if by_us:
        assert it.tick(0) == ["a"]
        it.answer("a", Outcome.EVICTED)
    it.pods["a"] = running("a", memory=20, spec=PodSpec({}, leaving=True))
    assert it.tick(1) == []
    assert it.tick(LEAVING_S - 1) == []
    assert it.tick(LEAVING_S + 1) == ["b"]
    it.answer("b", Outcome.EVICTED)
    del it.pods["b"]
    assert it.tick(LEAVING_S + 5) == [], "nobody asks for it again"
    del it.pods["a"]
    it.tick(LEAVING_S + 6)
    assert it.eviction._cases == it.eviction._deleted_s == {}


def test_a_budget_spares_its_pod_for_longer_each_time_while_others_are_evicted() -> None:
    it = Node()
    it.tick(0)
    it.answer("a", Outcome.BUDGET, "over budget")
    assert it.tick(4) == ["b"]
    assert it.reasons() == [("a", "EvictionRefused")]
    it.answer("b", Outcome.BUDGET, "over budget")
    assert it.tick(9.9) == []
    assert it.tick(14) == ["a"]
    it.answer("a", Outcome.BUDGET, "over budget")
    # The second time for 20 s.
    assert it.tick(18) == ["b"]
    it.answer("b", Outcome.EVICTED)
    del it.pods["b"]
    assert it.tick(33) == []
    assert it.tick(34) == ["a"]
    assert it.eviction.counts == {("BEMemoryEvict", "budget"): 3, ("BEMemoryEvict", "evicted"): 1}


def test_the_api_server_may_ask_for_a_longer_pause() -> None:
    it = Node()
    del it.pods["b"]
    it.tick(0)
    it.answer("a", Outcome.REFUSED, "overloaded", retry_after_s=100)
    assert [it.tick(at_s) for at_s in (4.0, 50.0, 99.0)] == [[], [], []]
    assert it.tick(100) == ["a"]


def test_under_observe_nobody_is_asked_and_each_pod_is_named_once() -> None:
    it = Node()
    for at_s in range(0, 600, 5):
        assert it.tick(float(at_s), OBSERVE) == []
    assert it.reasons() == [("a", "WouldEvict")]
    assert "mode observe: it stays" in it.sent[0][2]
    assert it.eviction.counts == {("BEMemoryEvict", "observed"): 1}
    # What was only observed does not keep a pod from being evicted.
    it.eviction.switched_off()
    assert it.tick(601, ENFORCE) == ["a"]


@pytest.mark.parametrize(
    ("controllers", "enable", "expected"),
    [
        ({}, True, []),
        ({"evict": {"mode": "enforce"}}, False, []),
        ({"noisyNeighbour": "evict"}, True, []),
        ({"evict": {"mode": "enforce"}}, True, ["a"]),
    ],
)
def test_a_policy_must_ask_twice(controllers: dict[str, Any], enable: bool, expected: list[str]) -> None:
    policy = policy_of(
        koordnri_config={"clusterStrategy": {"controllers": controllers}},
        resource_threshold_config={"clusterStrategy": {"enable": enable}},
    )
    assert Node().tick(0, policy) == expected


def test_noisy_neighbours_are_evicted_though_thresholds_are_off() -> None:
    controllers = {"evict": {"mode": "enforce"}, "noisyNeighbour": "evict"}
    policy = policy_of(koordnri_config={"clusterStrategy": {"controllers": controllers}})
    it = Node()
    suspect = Suspect("shop/b", "uid-b", True, 4.0, 0.0)
    waits = running("web", "LS").pod
    found = Finding(waits, Resource.CPU, Cause.NEIGHBOUR, 15.0, 50.0, 20, 0.0, 0.0, (suspect,))
    it.eviction.step(node(*it.pods.values(), memory=99), policy, NodeState(), findings=[found])
    assert it.asked == ["b"]


def test_without_the_api_server_nobody_can_be_evicted_and_that_is_reported_once() -> None:
    it = Node(api=False)
    for at_s in range(5):
        it.tick(float(at_s))
    assert it.eviction.problem == NO_API
    assert it.events.of_node == [("EvictionImpossible", NO_API)]
    it.eviction.switched_off()
    assert it.eviction.problem == ""


def test_without_the_right_it_is_reported_once_and_tried_again_after_minutes() -> None:
    it = Node()
    it.tick(0)
    it.answer("a", Outcome.FORBIDDEN, "cannot create resource")
    assert [it.tick(float(at_s)) for at_s in range(4, 304, 5)] == [[]] * 60
    assert "apiAccess.evictPods" in it.eviction.problem
    assert it.tick(304) == ["a"]
    it.answer("a", Outcome.FORBIDDEN, "cannot create resource")
    it.tick(308)
    assert [reason for reason, _ in it.events.of_node] == ["EvictionImpossible"]
    assert it.tick(608) == ["a"]
    it.answer("a", Outcome.EVICTED)
    it.tick(612)
    assert it.eviction.problem == ""


def test_a_silent_api_server_is_asked_ever_less_often() -> None:
    it, asked = Node(), []
    for at_s in range(400):
        if it.tick(float(at_s)):
            asked.append(at_s)
            it.answer("a", Outcome.UNREACHABLE, "timed out")
    assert asked == [0, 10, 30, 70, 150, 310]
    assert "timed out" in it.eviction.problem
    it.eviction.switched_off()
    assert it.eviction.problem == ""


def test_an_overloaded_api_server_is_left_alone_for_as_long_as_it_asks() -> None:
    it = Node()
    it.tick(0)
    it.answer("a", Outcome.UNREACHABLE, "too many requests", retry_after_s=100)
    assert [it.tick(at_s) for at_s in (4.0, 50.0, 99.0)] == [[], [], []]
    assert it.reasons() == []
    assert it.tick(100) == ["a"]


def test_a_pod_that_was_given_back_to_kubelet_is_left_alone() -> None:
    it = Node(released="a")
    assert it.tick(0) == ["b"]


def test_a_request_that_has_to_wait_is_withdrawn_when_it_is_stale() -> None:
    it = Node()
    it.tick(0)
    it.at_s = STALE_S - 1
    assert it.eviction.is_wanted("uid-a")
    assert not it.eviction.is_wanted("uid-b")
    it.at_s = STALE_S
    assert not it.eviction.is_wanted("uid-a")
    it.answer("a", Outcome.WITHDRAWN)
    assert it.eviction.counts == {("BEMemoryEvict", "withdrawn"): 1}
    # It is chosen again, if that is still right.
    assert it.tick(STALE_S + 1) == ["a"]


@pytest.mark.parametrize("policy", [OBSERVE, policy_of()])
def test_who_waits_for_a_request_stays_when_eviction_is_not_enforced_any_more(policy: Policy) -> None:
    it = Node()
    it.tick(0)
    it.eviction.switched_off()  # the loop: another mode
    it.tick(1, policy)
    assert not it.eviction.is_wanted("uid-a")


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.FORBIDDEN])
def test_after_an_answer_that_holds_for_all_pods_no_other_is_asked_for(outcome: Outcome) -> None:
    it = Node()
    assert it.tick(0, memory=99) == ["a", "b"]
    it.answer("a", outcome, "no")
    assert not it.eviction.is_wanted("uid-b")


def test_who_is_released_while_its_request_waits_stays() -> None:
    it = Node()
    it.tick(0)
    it.released = "a"
    assert not it.eviction.is_wanted("uid-a")


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.FORBIDDEN])
def test_an_answer_that_comes_after_eviction_was_switched_off_is_no_problem(outcome: Outcome) -> None:
    it = Node()
    it.tick(0)
    it.eviction.switched_off()
    it.answer("a", outcome, "no")
    assert it.eviction.problem == ""
    assert it.events.of_node == []
    assert it.tick(4) == ["a"]


def test_a_full_queue_is_tried_again() -> None:
    it = Node()
    it.full = True
    assert it.tick(0) == ["a"]
    it.full = False
    assert it.tick(4) == ["a"]


def test_an_answer_that_comes_after_the_pod_has_gone_is_counted_all_the_same() -> None:
    it = Node()
    it.tick(0)
    del it.pods["a"]
    it.tick(1, memory=50)
    it.answer("a", Outcome.EVICTED)
    it.tick(2, memory=50)
    assert it.eviction.counts == {("BEMemoryEvict", "evicted"): 1}
    it.tick(3, memory=50)
    assert it.eviction._cases == {}
    it.answer("a", Outcome.GONE)  # of a pod that nobody knows
    it.tick(4, memory=50)
