"""What other threads ask of the reconcile thread; the test is that thread."""

from __future__ import annotations

import threading

import pytest

from koordnri.model import Pod
from koordnri.reconcile.requests import Requests
from koordnri.reconcile.schedule import ABOVE_S, Ask, EverythingChanged, Hurry, Leave, Pass, Schedule, Touch
from koordnri.state.ledger import Ledger
from tests.support.waiting import PATIENCE_S


class Scene:
    """A ledger with the pod p, and the inputs that have come."""

    def __init__(self) -> None:
        self.now = 1.0
        self.unsettled = 0
        self.wake = threading.Event()
        self.ledger = Ledger()
        self.ledger.remember_pod(Pod("p", "uid-p", "shop", "p"))
        self.requests = Requests(self.ledger, self._unsettle, self.wake, lambda: self.now)

    def _unsettle(self) -> None:
        assert not self.wake.is_set(), "before the thread learns of it"
        self.unsettled += 1

    def inputs(self) -> list[object]:
        return list(self.requests._inputs)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_pod_that_is_known_is_touched_and_one_that_is_gone_has_left(scene):
    scene.requests.trigger("p")
    scene.requests.trigger("gone")
    assert scene.inputs() == [Touch("p"), Leave()]
    assert (scene.wake.is_set(), scene.unsettled) == (True, 0)


def test_a_change_of_everything_says_when_it_came(scene):
    scene.requests.trigger()
    assert scene.inputs() == [EverythingChanged(1.0)]
    assert (scene.wake.is_set(), scene.unsettled) == (True, 1)


def test_who_hurries_gets_a_number_and_waits_for_a_pass_that_serves_it(scene):
    assert (scene.requests.hurry(), scene.inputs()) == (1, [Hurry(1.0, 1)])
    scene.wake.clear()
    number = scene.requests.hurry()
    assert not scene.requests.wait_done(number, 0.0)
    scene.requests.served(1)
    assert not scene.requests.wait_done(number, 0.0)
    scene.requests.served(number)
    assert scene.requests.wait_done(number, 0.0)


def test_while_a_look_above_is_to_come_nobody_is_woken_for_one_more_that_left(scene):
    schedule = Schedule(scene.now)
    schedule.looks_above(scene.now, must=True)
    scene.requests.trigger("gone")
    scene.requests.wait(PATIENCE_S)
    scene.requests.hand_over(schedule)
    assert schedule.above_is_late
    scene.requests.trigger("gone-too")
    assert not scene.wake.is_set()
    assert scene.inputs() == [Leave()], "it is not lost"


def test_once_that_look_has_been_who_leaves_wakes_the_thread_again(scene):
    schedule = Schedule(scene.now, heals=False, records=False)
    schedule.looks_above(scene.now, must=True)
    scene.requests.trigger("gone")
    scene.requests.hand_over(schedule)
    scene.now += ABOVE_S
    schedule.begin(scene.now)
    assert schedule.next(scene.now) == Pass("pod", frozenset())
    schedule.looks_above(scene.now, must=True)
    scene.requests.hand_over(schedule)
    scene.wake.clear()
    scene.requests.trigger("gone-too")
    assert scene.wake.is_set()


def test_a_question_without_an_answer_raises(scene):
    with pytest.raises(TimeoutError, match="did not come round"):
        scene.requests.ask([], 0.0)
    assert scene.inputs() == [Ask()]
    thread = threading.Thread(target=lambda: [answer.put(None) for _, answer in answered_by(scene)])
    thread.start()
    with pytest.raises(TimeoutError, match="its pass failed"):
        scene.requests.ask(scene.ledger.pods(), PATIENCE_S)
    thread.join(PATIENCE_S)


def answered_by(scene: Scene):
    """The question that comes next, after the one that nobody waits for any more."""
    next(scene.requests.questions())
    scene.wake.clear()
    scene.wake.wait(PATIENCE_S)
    yield from scene.requests.questions()


def test_changes_wake_the_thread_once_until_a_pass_has_served_them(scene):
    schedule = Schedule(scene.now)
    scene.requests.trigger()
    scene.requests.hand_over(schedule)
    scene.wake.clear()
    scene.requests.trigger()
    assert not scene.wake.is_set(), "the thread sleeps until the pass that serves both"
    assert scene.inputs() == [EverythingChanged(1.0)], "it is not lost"
    schedule.begin(scene.now + 10)
    while schedule.next(scene.now + 10) is not None:
        pass
    scene.requests.hand_over(schedule)
    assert schedule.change_is_pending, "the second one may have come after the pass began"
    schedule.begin(scene.now + 20)
    while schedule.next(scene.now + 20) is not None:
        pass
    scene.requests.hand_over(schedule)
    scene.requests.trigger()
    assert scene.wake.is_set()


def test_a_pod_is_not_waited_for_that_has_what_follows_already(scene):
    snapshot = object()
    scene.requests.applied = snapshot
    scene.requests.catch_up(scene.ledger.pods()[0], snapshot, PATIENCE_S)
    scene.requests.catch_up(scene.ledger.pods()[0], object(), 0.0)
    assert scene.inputs() == []
