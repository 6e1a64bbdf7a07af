"""The memory staircase: signals in, ceilings of memory.high out."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.control.memory_high import (
    HOLD_S,
    LEAST_BYTES,
    OVER,
    SHORT,
    STEP_PERCENT,
    STEP_S,
    MemoryStaircase,
)
from koordnri.model.priority import CRITICAL
from koordnri.policy.controllers import MemoryHighOptions
from tests.control.memory_signals import CAPACITY, GI, MI, batch_pod, node_signals, service_pod

OPTIONS = MemoryHighOptions(mode="enforce")
ID = "job-main"


class Run:
    """A staircase and its clock. The container follows its ceiling, unless it is `stubborn`."""

    def __init__(self, used: int = GI, options: MemoryHighOptions = OPTIONS, *, stubborn: bool = False) -> None:
        self.stairs = MemoryStaircase()
        self.options = options
        self.used, self.stubborn = used, stubborn
        self.now_s = 1000.0
        self.high: list[int | None] = []
        self.reason = ""

    def __call__(self, seconds: float, available: int | None, **load: float) -> list[int | None]:
        """Let the node be so for some seconds. Returns the different ceilings in their order."""
        seen: list[int | None] = []
        for _ in range(round(seconds)):
            one = batch_pod("job", self.used, **load)
            wanted = self.stairs.step(node_signals(self.now_s, available, [one]), self.options).get(ID)
            high = None if wanted is None else wanted.value
            if wanted is not None:
                self.reason = wanted.reason
                self.used = self.used if self.stubborn else min(self.used, wanted.value)
            if not seen or seen[-1] != high:
                seen.append(high)
            self.now_s += 1.0
        return seen


def lowered(bytes_: int, times: int) -> list[int]:
    """What it is asked for in so many steps, the first being room for what it uses."""
    ceilings = [bytes_ * 105 // 100]
    for _ in range(times):
        bytes_ = bytes_ * 95 // 100
        ceilings.append(bytes_)
    return ceilings


def test_a_best_effort_container_is_lowered_a_step_at_a_time_while_memory_is_short():
    run = Run()
    assert run(STEP_S * 3 + 1, available=5) == lowered(GI, 3)
    assert run.reason == SHORT


def test_it_stops_at_half_of_what_the_container_had():
    assert GI // 2 <= Run()(500, available=5)[-1] < GI * 53 // 100


def test_each_step_is_undone_when_the_shortage_is_over():
    run = Run()
    run(STEP_S * 2 + 1, available=5)
    low = lowered(GI, 2)[-1]
    up = GI * 5 // 100
    assert run(STEP_S * 5, available=50) == [low, low + up, low + 2 * up, None]
    assert run.reason == OVER


def test_nothing_moves_just_above_the_bound():
    run = Run()
    run(STEP_S + 1, available=9)
    assert run(200, available=11) == lowered(GI, 1)[1:]
    assert run(STEP_S, available=12)[-1] > lowered(GI, 1)[-1]


def test_without_a_shortage_nothing_is_wanted():
    assert Run()(100, available=11) == [None]


def test_memory_that_cannot_be_reclaimed_gets_its_room_back_and_is_tried_again_later():
    run, high = Run(stubborn=True), GI * 105 // 100
    assert run(HOLD_S, available=5) == [high, GI * 95 // 100, high]
    assert run(STEP_S * 4, available=5) == [high, GI * 95 // 100, high]


def test_a_ceiling_that_takes_longer_is_aimed_at_again_from_where_the_container_is():
    run = Run(stubborn=True)
    run(STEP_S + 1, available=5)
    run.used = GI * 98 // 100
    assert run(STEP_S, available=5) == [GI * 95 // 100, run.used * 95 // 100]


@pytest.mark.parametrize(
    "suffering",
    [
        pytest.param({"memory_pressure": 20.0}, id="it-stalls"),
        pytest.param({"refaults": 3000.0}, id="it-reads-back-what-was-reclaimed"),
    ],
)
def test_a_container_that_suffers_gets_room_and_is_left_there(suffering):
    run = Run()
    low = run(STEP_S * 3 + 1, available=5)[-1]
    room = low * 105 // 100
    assert run(STEP_S, available=5, **suffering) == [low, room]
    assert run(HOLD_S - STEP_S, available=5) == [room]
    assert run(STEP_S + 1, available=5)[-1] == low * 95 // 100


def test_a_container_that_suffers_may_grow_a_step_at_a_time():
    run = Run()
    first = GI * 105 // 100
    second = first * 105 // 100
    assert run(STEP_S * 2 + 1, available=5, memory_pressure=50.0) == [first, second, second * 105 // 100]


def test_file_pages_that_the_kernel_drops_first_count_as_used():
    stairs = MemoryStaircase()
    pods = [batch_pod("job", 100 * MI, memory_charged_bytes=GI)]
    assert stairs.step(node_signals(0.0, 5, pods), OPTIONS)[ID].value == GI * 105 // 100


@pytest.mark.parametrize(
    ("one", "lowest"),
    [
        pytest.param(batch_pod("job", GI, request=900 * MI), 900 * MI, id="its-request"),
        pytest.param(batch_pod("job", GI, request=2 * GI), None, id="it-uses-less-than-its-request"),
        pytest.param(batch_pod("job", 70 * MI), LEAST_BYTES, id="the-least"),
        pytest.param(batch_pod("job", LEAST_BYTES - 1), None, id="too-small"),
        pytest.param(batch_pod("job", None), None, id="unknown"),
        pytest.param(batch_pod("job", GI, priority=CRITICAL), None, id="system-critical"),
        pytest.param(service_pod("job", 0.0), None, id="a-service"),
    ],
)
def test_no_container_goes_below_its_floor(one, lowest):
    stairs, seen = MemoryStaircase(), []
    for second in range(200):
        wanted = stairs.step(node_signals(float(second), 5, [one]), OPTIONS).get(ID)
        seen.append(None if wanted is None else wanted.value)
        if wanted is not None:
            load = dataclasses.replace(one.load, memory_bytes=min(one.load.memory_bytes, wanted.value))
            container = dataclasses.replace(one.containers[0], load=load)
            one = dataclasses.replace(one, load=load, containers=(container,))
    assert seen[-1] is None if lowest is None else lowest <= seen[-1] < lowest * 1.1


@pytest.mark.parametrize(
    ("pods", "node_pressure", "short"),
    [
        pytest.param([service_pod("web", 12.0)], 12.0, True, id="a-service-stalls"),
        pytest.param([service_pod("web", 4.0)], 4.0, False, id="hardly"),
        pytest.param([batch_pod("job", GI, memory_pressure=50.0)], 50.0, False, id="only-best-effort-stalls"),
        pytest.param(
            [service_pod("web", 12.0), batch_pod("job", GI, memory_pressure=50.0)], 62.0, True, id="both-stall"
        ),
        pytest.param([service_pod("web", 50.0, used=GI, limit=GI)], 50.0, False, id="a-service-at-its-own-limit"),
        pytest.param([], None, False, id="no-pressure-in-this-kernel"),
    ],
)
def test_pressure_means_a_shortage_unless_it_comes_of_a_bound_of_its_own(pods, node_pressure, short):
    stairs = MemoryStaircase()
    stairs.step(node_signals(0.0, 50, pods, node_pressure), OPTIONS)
    assert stairs.short is short


def test_zero_turns_a_bound_off():
    stairs = MemoryStaircase()
    options = MemoryHighOptions(mode="enforce", available_percent=0, pressure_percent=0)
    stairs.step(node_signals(0.0, 0, [service_pod("web", 90.0)], 90.0), options)
    assert not stairs.short


def test_when_nothing_is_known_any_more_the_steps_are_undone():
    run = Run()
    run(STEP_S + 1, available=5)
    assert run(STEP_S * 3, available=None)[-1] is None


def test_a_container_that_is_gone_is_forgotten():
    stairs = MemoryStaircase()
    pods = [batch_pod(f"job{i}", GI) for i in range(3)]
    assert len(stairs.step(node_signals(0.0, 5, pods), OPTIONS)) == 3
    assert stairs.step(node_signals(1.0, 5, pods[:1]), OPTIONS).keys() == {"job0-main"}
    assert stairs.step(node_signals(2.0, 5, []), OPTIONS) == {}
    # The same container again begins at what it uses then.
    again = stairs.step(node_signals(3.0, 5, [batch_pod("job0", 2 * GI)]), OPTIONS)
    assert again["job0-main"].value == 2 * GI * 105 // 100


tick = st.tuples(
    st.sampled_from([None, 0, 5, 9, 10, 11, 12, 50]),
    st.sampled_from([None, 0.0, 6.0, 15.0, 60.0]),
    st.sampled_from([None, 0.0, 25.0]),
    st.integers(0, 4 * GI),
    st.integers(1, 20),
)


@given(st.lists(tick, max_size=60), st.integers(0, 4 * GI))
def test_never_below_the_floor_and_always_undone(ticks, request_bytes):
    stairs, now_s = MemoryStaircase(), 0.0
    for available, node, own, used, seconds in ticks:
        load = {} if own is None else {"memory_pressure": own}
        one = batch_pod("job", used, request=request_bytes, **load)
        wanted = stairs.step(node_signals(now_s, available, [one], node), OPTIONS)
        assert wanted.keys() <= {ID}
        assert all(want.value >= max(LEAST_BYTES, request_bytes) for want in wanted.values())
        now_s += seconds
    for _ in range(50 // STEP_PERCENT + 2):
        now_s += STEP_S
        wanted = stairs.step(node_signals(now_s, 50, [batch_pod("job", CAPACITY)], 0.0), OPTIONS)
    assert wanted == {}
