"""The rules above `Schedule`, as tables: at these times these inputs, and these steps come of them."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.reconcile.schedule import (
    ABOVE_S,
    COVER_S,
    DEBOUNCE_S,
    FAULT_RESTS_S,
    NEVER,
    RESTS,
    SWEEP_S,
    AnswerAsked,
    Ask,
    Controlled,
    EverythingChanged,
    Heal,
    Hurry,
    Input,
    Leave,
    Pass,
    Record,
    Schedule,
    Step,
    Touch,
)

TOOK_S = 0.125
"""Each pass takes so long, though the clock stands still meanwhile."""


class Line:
    """A schedule whose steps are all made as soon as they are due. It has looked above the pods, at time 0."""

    def __init__(self, **options: Any) -> None:
        self.schedule = Schedule(0.0, **{"heals": False, "records": False} | options)
        self.schedule.looks_above(0.0, must=True)

    def round(self, now: float, *inputs: Input, well: bool = True) -> list[Step]:
        """The steps of a round that begins now, after these inputs."""
        for one in inputs:
            self.schedule.receive(one)
        self.schedule.begin(now)
        steps = []
        while (step := self.schedule.next(now)) is not None:
            steps.append(step)
            if isinstance(step, Pass):
                self.schedule.looks_above(now, must=step.trigger != "pod" or not step.pods)
                self.schedule.ended(step, now, TOOK_S, well=well)
        return steps

    def sleep_s(self, now: float, **at: float) -> float:
        return self.schedule.sleep_s(now, **at)


def change(since: float, waited_for: bool = False, serves: int = 0) -> Pass:
    return Pass("change", None, since, waited_for, serves)


def pod(*ids: str) -> Pass:
    return Pass("pod", frozenset(ids))


D, REST = DEBOUNCE_S, RESTS * TOOK_S
SWEEP, ABOVE = Pass("sweep"), Pass("pod", frozenset())
A, B = Touch("a"), Touch("b")

STORIES: dict[str, list[tuple[float, list[Input], list[Step], float]]] = {
    # name: [(now, inputs, steps, how long it sleeps then), …]
    "nothing happens but sweeps": [
        (0, [], [], SWEEP_S),
        (SWEEP_S - 1, [], [], 1),
        (SWEEP_S, [], [SWEEP], SWEEP_S),
    ],
    "a pod is looked at at once": [(1, [A], [pod("a")], SWEEP_S - 1)],
    "several pods make one pass": [(1, [A, B, A], [pod("a", "b")], SWEEP_S - 1)],
    "a change is debounced from its first input on": [
        (1, [EverythingChanged(1)], [], D),
        (1 + D / 2, [EverythingChanged(1 + D / 2)], [], D / 2),
        (1 + D, [], [change(1)], SWEEP_S - 1 - D),
    ],
    "pods are looked at by the pass that a change makes": [
        (1, [EverythingChanged(1)], [], D),
        (1 + D / 2, [A], [], D / 2),
        (1 + D, [B], [change(1)], SWEEP_S - 1 - D),
    ],
    "after a pass over everything the next one rests, and pods do not": [
        (0, [Hurry(0, 1)], [change(0, True, 1)], SWEEP_S),
        (D, [EverythingChanged(D)], [], REST - D),
        (REST / 2, [A], [pod("a")], REST / 2),
        (REST, [], [change(D, False, 1)], SWEEP_S - REST),
    ],
    "a change at the end of a rest is debounced": [
        (0, [Hurry(0, 1)], [change(0, True, 1)], SWEEP_S),
        (REST - D / 2, [EverythingChanged(REST - D / 2)], [], D),
        (REST, [], [], D / 2),
        (REST + D / 2, [], [change(REST - D / 2, False, 1)], SWEEP_S - REST - D / 2),
    ],
    "who hurries waits neither for the rest nor for the debounce": [
        (0, [Hurry(0, 1)], [change(0, True, 1)], SWEEP_S),
        (D, [EverythingChanged(D), Hurry(D, 2)], [change(D, True, 2)], SWEEP_S - D),
    ],
    "who asks is answered, and ends the debounce": [
        (1, [EverythingChanged(1)], [], D),
        (1 + D / 2, [Ask()], [AnswerAsked(), change(1)], SWEEP_S - 1 - D / 2),
    ],
    "who asks ends no rest, and no later debounce": [
        (0, [Hurry(0, 1)], [change(0, True, 1)], SWEEP_S),
        (REST - D / 2, [EverythingChanged(REST - D / 2), Ask()], [AnswerAsked()], D),
        (REST, [], [], D / 2),
    ],
    "who asks while nothing is debounced takes no later debounce away": [
        (1, [Ask()], [AnswerAsked()], SWEEP_S - 1),
        (2, [EverythingChanged(2)], [], D),
    ],
    "what stands above a pod that left is looked at, but not for each one": [
        (ABOVE_S / 2, [Leave(), Leave()], [], ABOVE_S / 2),
        (ABOVE_S, [], [ABOVE], SWEEP_S - ABOVE_S),
        (1, [Leave()], [ABOVE], SWEEP_S - 1),
    ],
    "a pass over everything looks above the pods as well": [
        (ABOVE_S / 2, [Leave(), Hurry(0, 1)], [change(0, True, 1)], SWEEP_S - ABOVE_S / 2),
    ],
    "what controllers want comes first, and in one pass": [
        (
            0.5,
            [Controlled(frozenset("a"), above=False), Ask(), Controlled(frozenset("b"), above=True)],
            [Pass("control", frozenset("ab"), above=True), AnswerAsked()],
            SWEEP_S - 0.5,
        ),
        (1, [Controlled(frozenset("a"), above=False)], [Pass("control", frozenset("a"), above=False)], SWEEP_S - 1),
    ],
    "what controllers want waits while a change is debounced": [
        (1, [EverythingChanged(1), Controlled(frozenset("a"), above=False)], [], D),
        (1 + D, [], [Pass("control", frozenset("a"), above=False), change(1)], SWEEP_S - 1 - D),
    ],
    "a sweep comes after what is more urgent": [
        (SWEEP_S, [A], [pod("a"), SWEEP], SWEEP_S),
        (2 * SWEEP_S, [Hurry(2 * SWEEP_S, 1)], [change(2 * SWEEP_S, True, 1), SWEEP], SWEEP_S),
    ],
    "a sweep that is due while a change is debounced comes after it": [
        (SWEEP_S - D / 2, [EverythingChanged(SWEEP_S - D / 2)], [], D),
        (SWEEP_S, [], [], D / 2),
        (SWEEP_S + D / 2, [], [change(SWEEP_S - D / 2), SWEEP], SWEEP_S),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_rules(story: list[tuple[float, list[Input], list[Step], float]]):
    line = Line()
    for now, inputs, steps, sleeps_s in story:
        assert (line.round(now, *inputs), now) == (steps, now)
        assert line.sleep_s(now) == pytest.approx(sleeps_s)


def test_an_input_that_comes_after_the_round_is_not_slept_over():
    for late in (A, Ask()):
        line = Line()
        line.round(1)
        line.schedule.receive(late)
        assert line.sleep_s(1) == 0


def test_a_pass_that_failed_has_served_nobody_so_the_next_change_is_still_urgent():
    line = Line()
    assert line.round(0, Hurry(0, 1), well=False) == [change(0, True, 1)]
    assert line.round(1, EverythingChanged(1)) == []
    assert line.sleep_s(1) == pytest.approx(D), "debounced, but it does not rest"
    assert line.round(1 + D) == [change(1, True, 1)]
    assert line.round(1 + 2 * D, EverythingChanged(1 + D)) == []


def test_a_pod_is_tried_again_when_it_is_time():
    line = Line()
    line.schedule.again("a", 3.0)
    line.schedule.again("b", 2.0)
    assert line.sleep_s(1) == 1
    assert line.round(1, Touch("c")) == [pod("c")]
    assert line.round(2) == [pod("b")]
    assert line.sleep_s(2) == 1
    assert line.round(3) == [pod("a")]
    assert line.sleep_s(3) == SWEEP_S - 3


def test_a_pass_over_everything_tries_again_whose_time_has_come():
    line = Line()
    line.schedule.again("a", 1.0)
    assert line.round(2, Hurry(2, 1)) == [change(2, True, 1)]
    assert line.round(3) == []


def test_a_pass_looks_above_the_pods_now_and_then_and_always_if_it_must():
    schedule = Schedule(0.0)
    assert schedule.looks_above(1.0, must=False)
    assert not schedule.looks_above(1.0 + ABOVE_S / 2, must=False)
    assert schedule.above_is_late
    assert schedule.looks_above(1.0 + ABOVE_S / 2, must=True)
    assert not schedule.above_is_late
    assert schedule.looks_above(1.0 + 2 * ABOVE_S, must=False)


# -- healing ----------------------------------------------------------------------------------------------------------


def test_each_round_heals_first_and_looks_for_the_unwatched_once_a_second():
    line = Line(heals=True)
    assert line.round(1, A) == [Heal(False, True), pod("a")]
    assert line.sleep_s(1) == COVER_S
    assert line.round(1.5) == [Heal(False, False)]
    assert line.sleep_s(1.5) == 0.5
    assert line.sleep_s(1.5, heal_at=1.75) == 0.25
    assert line.round(1 + COVER_S) == [Heal(False, True)]


def test_healing_does_not_rest_while_somebody_waits():
    line = Line(heals=True)
    assert line.round(1, Hurry(1, 1))[0].waited_for  # type: ignore[union-attr]
    assert not line.round(2)[0].waited_for  # type: ignore[union-attr]


def test_who_waits_does_not_wait_for_the_unwatched_since_the_pass_has_them_all():
    line = Line(heals=True)
    assert line.round(1, Hurry(1, 1)) == [Heal(True, False), change(1, True, 1)]
    assert line.sleep_s(1) == 0
    assert line.round(1) == [Heal(False, True)]


def test_events_that_were_lost_make_a_sweep():
    line = Line()
    line.schedule.lost(2.0)
    assert line.sleep_s(2) == 0
    assert line.round(2) == [SWEEP]
    assert line.sleep_s(2) == SWEEP_S


def test_healing_rests_after_a_bug_and_a_sweep_does_its_work():
    line = Line(heals=True)
    line.schedule.heal_failed(2.0)
    assert line.round(2) == [SWEEP]
    assert line.sleep_s(2, heal_at=2.0) == FAULT_RESTS_S
    assert line.round(2 + FAULT_RESTS_S - 1) == []
    assert Heal(False, True) in line.round(2 + FAULT_RESTS_S)


def test_without_a_watch_nobody_heals():
    line = Line(heals=False)
    assert line.round(1) == []
    assert line.sleep_s(1, heal_at=1.0) == SWEEP_S - 1


# -- recording --------------------------------------------------------------------------------------------------------


def test_each_round_records_last_but_not_while_a_change_is_pending():
    line = Line(records=True)
    assert line.round(1, A) == [pod("a"), Record()]
    assert line.sleep_s(1, record_at=3.0) == 2
    assert line.round(2, Hurry(2, 1)) == [change(2, True, 1), Record()]
    assert line.round(2.5, EverythingChanged(2.5), A) == [pod("a")]
    assert line.sleep_s(2.5, record_at=2.0) == pytest.approx(2 + REST - 2.5), "not before that change"


def test_recording_rests_after_a_bug():
    line = Line(records=True)
    line.schedule.record_failed(1.0)
    assert line.round(1, A) == [pod("a")]
    assert line.sleep_s(1, record_at=1.0) == SWEEP_S - 1
    assert line.round(1 + FAULT_RESTS_S) == [SWEEP, Record()]


def test_who_has_nothing_to_do_says_never():
    line = Line(heals=True, records=True)
    line.round(1)
    assert line.sleep_s(1, heal_at=NEVER, record_at=NEVER) == COVER_S
