"""Recording: when, how much at once, what if it fails, and that the runtime ends up with what was decided. The runtime is the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from koordnri.model import fields
from koordnri.model.resources import Note, Resources
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import (
    ATTEMPTS,
    BACKOFF_S,
    CALL_S,
    DEADLINE_S,
    FIRST_COST_S,
    HANDFUL,
    REPLIED_S,
    REST_S,
    Overran,
    PushFailed,
    Recorder,
    RuntimeAway,
)
from tests.reconcile.fake_node import HALVED, FakeNode

ASKED, HALF, THIRD = 90_000, 45_000, 30_000
THIRDS = {"cpu_normalization_config": {"enable": True, "defaultRatio": 3.0}}


class Scene:
    """A node of one pod with containers c0, c1, …, each asking for ASKED, and a runtime that stores what it is sent."""

    def __init__(self, containers: int = 1, route: str = "unsolicited") -> None:
        self.now = 0.0
        self.route = route
        self.cost_s = FIRST_COST_S
        self.batches: list[list[str]] = []
        self.stored: dict[str, dict[str, Any]] = {}
        self.off: list[tuple[str, str]] = []
        self.saved: list[dict[str, Note]] = []
        self.wakes = 0
        self.log = CapturingLogger()
        self.answer: Callable[[Sequence[Update]], set[str]] = lambda updates: set()
        self.node = FakeNode(recorder=self._recorder, monotonic=lambda: self.now)
        self.pod = self.node.pod("p")
        for i in range(containers):
            self.node.container(self.pod, f"c{i}", cpu_quota=ASKED)
            self.stored[f"p-c{i}"] = {}

    def _recorder(self, node: FakeNode) -> Recorder:
        self.recorder = Recorder(
            node.ledger,
            {"unsolicited": self._push, "resync": self._push},
            lambda: self.route,
            lambda: self.saved.append(self.node.ledger.notes()),
            lambda route, why: self.off.append((route, why)),
            self.log,
            self._wake,
            lambda: self.now,
        )
        return self.recorder

    def _wake(self) -> None:
        self.wakes += 1

    def _push(self, updates: Sequence[Update], deadline_s: float) -> set[str]:
        assert deadline_s == DEADLINE_S
        self.batches.append([u.container_id for u in updates])
        for update in updates:  # should we die now, what is under way must be known
            maybe = self.saved[-1][update.container_id].maybe
            assert {name: maybe[name][0] for name in update.values} == update.values
        self.now += self.cost_s * len(updates)
        refused = self.answer(updates)
        self.store([u for u in updates if u.container_id not in refused])
        return refused

    def store(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self.stored[update.container_id].update(update.values)

    def decide(self, **policy: Any) -> None:
        self.node.set_policy(**policy)
        self.node.run_pass()

    def step(self, seconds: float = REST_S) -> tuple[set[str], float]:
        self.now += seconds
        return self.recorder.step()

    def until_idle(self) -> None:
        for _ in range(200):
            due = self.recorder.due_s()
            if due is None:
                return
            self.step(due)
        raise AssertionError("it does not come to an end")

    def outcomes(self) -> dict[tuple[str, str], int]:
        return dict(self.recorder.stats.pushes)


def test_what_is_written_is_recorded_once_the_decisions_have_come_to_rest():
    scene = Scene()
    scene.decide(**HALVED)
    assert (scene.recorder.unrecorded, scene.recorder.due_s()) == (1, REST_S)
    assert scene.step(REST_S / 2) == (set(), 0.0)
    scene.decide(**THIRDS)
    assert scene.step(REST_S / 2) == (set(), 0.0), "another decision: the rest begins again"
    assert scene.step(REST_S / 2) == ({"p"}, 0.0), "the pod's files are to be looked at again"
    assert scene.stored == {"p-c0": {"cpu.quota": THIRD}}
    assert (scene.recorder.unrecorded, scene.recorder.due_s()) == (0, None)
    assert scene.outcomes() == {("unsolicited", "recorded"): 1}
    assert scene.node.ledger.note("p-c0") == Note(
        Resources(cpu_shares=512, cpu_period=100_000, cpu_quota=ASKED), {"cpu.quota": THIRD}
    )


def test_after_a_push_every_file_of_the_container_is_looked_at():
    """The runtime applies all that it has stored, also over what was written since the push was planned."""
    scene = Scene()
    scene.decide(**HALVED)
    again, _ = scene.step()
    container = scene.node.kernel.cgroups["kubepods/burstable/p/p-c0"]
    container.quota = ASKED
    scene.node.reconciler.reconcile("pod", [p for p in scene.node.ledger.pods() if p.id in again])
    assert container.quota == HALF


def test_an_edit_back_to_the_old_value_pushes_nothing():
    scene = Scene()
    scene.decide(**HALVED)
    scene.decide()
    assert scene.recorder.unrecorded == 0
    assert scene.recorder.due_s() is None
    scene.step()
    assert scene.batches == []


def test_what_was_recorded_and_is_not_decided_any_more_is_recorded_back():
    scene = Scene()
    scene.decide(**HALVED)
    scene.until_idle()
    scene.decide()
    scene.until_idle()
    assert scene.stored == {"p-c0": {"cpu.quota": ASKED}}
    scene.decide()
    assert scene.recorder.unrecorded == 0


def test_what_somebody_else_changed_is_recorded_once_more_when_it_is_healed():
    """Another plugin's update went through the runtime: its value is stored there."""
    scene = Scene()
    scene.decide(**HALVED)
    scene.until_idle()
    scene.decide()
    scene.decide(**HALVED)
    scene.node.run_pass("sweep")
    scene.batches.clear()
    container = scene.node.kernel.cgroups["kubepods/burstable/p/p-c0"]
    container.quota, scene.stored["p-c0"] = 10_000, {"cpu.quota": 10_000}
    scene.node.run_pass("sweep")
    assert container.quota == HALF
    assert scene.node.tried_again() == {"p"}, "and not at the next sweep only"
    scene.node.run_pass("pod")
    assert scene.recorder.unrecorded == 1
    scene.until_idle()
    assert (scene.batches, scene.stored) == ([["p-c0"]], {"p-c0": {"cpu.quota": HALF}})
    scene.node.run_pass("pod")
    scene.node.run_pass("sweep")
    assert scene.recorder.unrecorded == 0


def test_what_the_creation_carried_needs_no_record():
    scene = Scene(0)
    scene.node.set_policy(**HALVED)
    scene.node.container(scene.pod, cpu_quota=ASKED)
    scene.node.run_pass()
    assert scene.recorder.unrecorded == 0


def test_a_push_takes_a_bounded_share_of_the_runtimes_time_and_leaves_as_much_to_others():
    scene = Scene(30)
    scene.decide(**HALVED)
    scene.step()
    first = len(scene.batches[0])
    assert first == int(CALL_S / FIRST_COST_S)
    assert scene.recorder.due_s() == pytest.approx(first * FIRST_COST_S)
    scene.until_idle()
    assert all(len(batch) <= first for batch in scene.batches)
    assert sorted(itertools.chain.from_iterable(scene.batches)) == sorted(scene.stored)


def test_what_an_update_costs_is_learned():
    scene = Scene(60)
    scene.cost_s = 0.05
    scene.decide(**HALVED)
    scene.until_idle()
    assert {len(batch) for batch in scene.batches[-10:]} == {2}
    scene.cost_s = 0.0001
    scene.decide()
    scene.until_idle()
    assert max(len(batch) for batch in scene.batches) > int(CALL_S / FIRST_COST_S)


def test_what_the_runtime_refuses_is_tried_a_few_times_and_again_when_it_is_another_value():
    scene = Scene(2)
    scene.answer = lambda updates: {"p-c1"}
    scene.decide(**HALVED)
    scene.until_idle()
    assert scene.outcomes() == {("unsolicited", "recorded"): 1, ("unsolicited", "refused"): ATTEMPTS}
    assert scene.recorder.unrecorded == 1, "it is written, and stays so"
    assert [call.kwargs["container"] for call in scene.log.calls] == ["p-c1"]
    assert [update.container_id for update in scene.recorder.given_up()] == ["p-c1"]
    scene.decide(**HALVED)
    scene.until_idle()
    assert scene.outcomes()["unsolicited", "refused"] == ATTEMPTS
    scene.answer = lambda updates: set()
    scene.decide(**THIRDS)
    scene.until_idle()
    assert scene.stored["p-c1"] == {"cpu.quota": THIRD}
    assert scene.recorder.unrecorded == 0
    assert scene.recorder.given_up() == []


def test_when_a_push_of_several_fails_each_is_pushed_alone():
    """An error of UpdateContainers hides which of them failed."""
    scene = Scene(3)

    def fails(updates: Sequence[Update]) -> set[str]:
        if "p-c1" in {u.container_id for u in updates}:
            raise PushFailed("some containers")
        return set()

    scene.answer = fails
    scene.decide(**HALVED)
    scene.until_idle()
    assert scene.batches[0] == ["p-c0", "p-c1", "p-c2"]
    assert {len(batch) for batch in scene.batches[1:]} == {1}
    assert {i for i, has in scene.stored.items() if has} == {"p-c0", "p-c2"}
    assert scene.batches.count(["p-c1"]) == ATTEMPTS


def test_a_refused_push_is_not_repeated_at_once():
    scene = Scene()
    scene.answer = lambda updates: {"p-c0"}
    scene.decide(**HALVED)
    scene.step()
    assert scene.recorder.due_s() == pytest.approx(BACKOFF_S)


def test_while_the_runtime_is_away_nobody_is_given_up():
    """Found by the soak: after three seconds without a connection a container was never recorded again."""
    scene = Scene(3)

    def away(updates: Sequence[Update]) -> set[str]:
        raise RuntimeAway("not registered with the runtime")

    scene.answer = away
    scene.decide(**HALVED)
    for _ in range(4 * ATTEMPTS):
        scene.step(BACKOFF_S)
    assert scene.recorder.given_up() == []
    scene.answer = lambda updates: set()
    scene.until_idle()
    assert scene.batches[-1] == ["p-c0", "p-c1", "p-c2"], "it was no reason to push each alone"
    assert scene.stored == {f"p-c{i}": {"cpu.quota": HALF} for i in range(3)}


def test_a_push_that_overruns_turns_its_route_off_for_good():
    scene = Scene()

    def overruns(updates: Sequence[Update]) -> set[str]:
        raise Overran("no answer within 5.0 s")

    scene.answer = overruns
    scene.decide(**HALVED)
    scene.step()
    assert scene.off == [("unsolicited", "no answer within 5.0 s")]
    assert (scene.recorder.route, scene.recorder.unrecorded) == ("reply", 1)
    assert scene.outcomes() == {("unsolicited", "late"): 1}
    scene.until_idle()
    assert len(scene.batches) == 1
    # What became of it is not known, so either value may be found stored.
    note = scene.node.ledger.note("p-c0")
    assert note is not None
    assert note.maybe == {"cpu.quota": [HALF]}


@pytest.mark.parametrize(("asked", "taken"), [("none", "none"), ("reply", "reply"), ("unsolicited", "unsolicited")])
def test_the_route_is_the_one_that_is_asked_for(asked, taken):
    assert Scene(route=asked).recorder.route == taken


def test_without_a_route_nothing_is_sent_and_the_rest_is_counted():
    scene = Scene(2, route="none")
    scene.decide(**HALVED)
    scene.step()
    assert (scene.recorder.unrecorded, scene.recorder.due_s()) == (2, None)
    assert (scene.batches, scene.recorder.for_reply("x"), scene.saved) == ([], [], [])


def test_replies_carry_a_handful_of_others_and_their_files_are_looked_at_when_the_runtime_is_done():
    scene = Scene(HANDFUL + 2, route="reply")
    scene.decide(**HALVED)
    assert scene.recorder.for_reply("x") == [], "not before the decisions have come to rest"
    scene.step()
    carried = scene.recorder.for_reply("p-c0")
    assert [u.container_id for u in carried] == ["p-c1", "p-c2", "p-c3", "p-c4"], "its own update says it all"
    assert scene.recorder.for_reply("x") == []
    for update in carried:
        note = scene.node.ledger.note(update.container_id)
        assert note is not None
        assert note.maybe == {"cpu.quota": [HALF]}
    scene.recorder.replied(carried)
    assert (scene.wakes, scene.recorder.due_s()) == (1, 0.0)
    assert scene.step(0) == ({"p"}, REPLIED_S)
    assert scene.recorder.unrecorded == 3
    assert scene.outcomes() == {("reply", "recorded"): 4}
    scene.step()
    assert len(scene.recorder.for_reply("x")) == 3


def test_a_reply_carries_nothing_that_is_out_of_date():
    scene = Scene(2, route="reply")
    scene.decide(**HALVED)
    scene.step()
    scene.decide()
    assert scene.recorder.for_reply("x") == []


@pytest.mark.parametrize("route", ["reply", "unsolicited"])
def test_once_a_change_is_known_nothing_is_sent_that_it_may_put_out_of_date(route):
    scene = Scene(2, route=route)
    scene.decide(**HALVED)
    scene.now += REST_S
    if route == "reply":
        scene.step(0)
    scene.node.requests.trigger()
    assert scene.recorder.for_reply("x") == []
    assert scene.recorder.due_s() == REST_S
    assert scene.step(0) == (set(), 0.0)
    assert scene.batches == []


def test_an_event_that_never_sent_its_reply_leaves_what_it_took_to_the_next():
    scene = Scene(1, route="reply")
    scene.decide(**HALVED)
    scene.step()
    assert len(scene.recorder.for_reply("x")) == 1
    scene.step()
    assert len(scene.recorder.for_reply("x")) == 1


def test_a_container_that_is_gone_is_not_pushed():
    scene = Scene(2)
    scene.decide(**HALVED)
    scene.node.ledger.forget_container("p-c0")
    scene.until_idle()
    assert scene.batches == [["p-c1"]]
    assert scene.recorder.unrecorded == 0


STEPS = st.lists(
    st.sampled_from(["halved", "thirds", "off", "wait", "refuse", "accept", "fail", "reply", "event", "recreate"]),
    max_size=25,
)


@given(STEPS)
def test_whatever_happens_the_runtime_ends_up_with_what_is_decided(steps):
    scene = Scene(3)
    decided = ASKED

    def fail(updates: Sequence[Update]) -> set[str]:
        raise PushFailed("busy")

    for step in steps:
        if step in ("halved", "thirds", "off"):
            policy, decided = {"halved": (HALVED, HALF), "thirds": (THIRDS, THIRD), "off": ({}, ASKED)}[step]
            scene.decide(**policy)
        elif step == "wait":
            scene.step(1.0)
        elif step == "refuse":
            scene.answer = lambda updates: {updates[0].container_id}
        elif step == "fail":
            scene.answer = fail
        elif step == "accept":
            scene.answer = lambda updates: set()
        elif step == "reply":
            scene.route = "reply" if scene.route == "unsolicited" else "unsolicited"
        elif step == "event":
            carried = scene.recorder.for_reply("p-c0")
            scene.store(carried)
            scene.recorder.replied(carried)
        else:
            scene.node.ledger.forget_container("p-c2")
            scene.node.container(scene.pod, "c2", cpu_quota=ASKED)
            scene.stored["p-c2"] = {} if decided == ASKED else {"cpu.quota": decided}
    scene.answer, scene.route = (lambda updates: set()), "unsolicited"
    scene.decide(cpu_normalization_config={"enable": True, "defaultRatio": 1.5})
    scene.until_idle()
    scene.decide()
    scene.until_idle()
    assert {i: has.get(fields.CPU_QUOTA.name, ASKED) for i, has in scene.stored.items()} == dict.fromkeys(
        scene.stored, ASKED
    )
    assert scene.recorder.unrecorded == 0
