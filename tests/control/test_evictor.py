from __future__ import annotations

import itertools
from typing import Any

import pytest

from koordnri.control.evictor import Evictor
from koordnri.control.signals import PodSignals
from koordnri.control.victims import Feature, Standing, Victim
from koordnri.model import NodeState
from koordnri.model.control import NO_CONTROL
from koordnri.policy import Policy
from tests.control.evicted_node import ENABLED, LONG_AGO_S, evicting, node, running

MANY = tuple(running(f"p{number:02}", memory=0.1) for number in range(30))


class Clock:
    """A node whose evicted pods leave `delay` ticks of 1 s later."""

    def __init__(
        self, policy: Policy, pods: tuple[PodSignals, ...], delay: int = 0, began_s: float = LONG_AGO_S
    ) -> None:
        self.policy, self.delay = policy, delay
        self.evictor = Evictor(began_s)
        self.pods = {one.pod.uid: one for one in pods}
        self.standing: dict[str, Standing] = {}
        self.evicted: list[tuple[int, str]] = []
        self._ends: dict[str, int] = {}

    def run(self, ticks: range, **figures: Any) -> list[tuple[int, str]]:
        """What was evicted in these ticks: second and name."""
        begun = len(self.evicted)
        for tick in ticks:
            for uid in [uid for uid, end in self._ends.items() if end <= tick]:
                del self._ends[uid], self.pods[uid], self.standing[uid]
            signals = node(*self.pods.values(), at_s=float(tick), **figures)
            for victim in self.evictor.step(signals, self.policy, NO_CONTROL, NodeState(), self.standing):
                self.standing[victim.pod.uid] = "leaving"
                self._ends[victim.pod.uid] = tick + 1 + self.delay
                self.evicted.append((tick, victim.pod.name))
        return self.evicted[begun:]


def test_a_node_under_pressure_evicts_a_burst_and_then_at_the_policys_rate() -> None:
    clock = Clock(evicting(), MANY)
    seconds = [tick for tick, _ in clock.run(range(61), memory=80)]
    assert seconds[:3] == [0, 0, 0]
    assert len(seconds) == 3 + 6
    assert all(later - earlier >= 10 for earlier, later in itertools.pairwise(seconds[3:]))
    faster = Clock(evicting({"perMinute": 60, "burst": 1}), MANY)
    # The cool time of memory holds all the same.
    assert [tick for tick, _ in faster.run(range(13), memory=80)] == [0, 4, 8, 12]


def test_pods_that_take_long_to_end_count_until_they_are_gone() -> None:
    pods = tuple(running(name, memory=5) for name in "abcd")
    clock = Clock(evicting(), pods, delay=30)
    # 70 % is at the threshold: 2 GiB are wanted, and one pod has 5.
    assert clock.run(range(30), memory=70) == [(0, "a")]
    assert clock.run(range(30, 40), memory=60) == []
    assert clock.run(range(40, 41), memory=70) == [(40, "b")]


def test_cpu_has_a_longer_cool_time_than_memory() -> None:
    policy = evicting({"perMinute": 60, "burst": 1}, cpuEvictThresholdPercent=80, evictEnabledPriorityThreshold=5999)
    pods = tuple(running(name, used=0.1, labels=ENABLED) for name in "abcd")
    clock = Clock(policy, pods)
    assert clock.run(range(41), used=90) == [(0, "a"), (20, "b"), (40, "c")]


def test_one_pod_at_a_time_leaves_for_memory_pressure() -> None:
    clock = Clock(evicting({"memoryPressurePercent": 10}), MANY, delay=25)
    assert [tick for tick, _ in clock.run(range(60), pressure=50.0)] == [5, 31, 57]
    clock = Clock(evicting({"memoryPressurePercent": 10}), MANY)
    assert [tick for tick, _ in clock.run(range(60), pressure=50.0)] == [5, 25, 45]


def test_pressure_must_last_and_must_have_been_measured() -> None:
    clock = Clock(evicting({"memoryPressurePercent": 10}), MANY)
    assert clock.run(range(4), pressure=50.0) == []
    assert clock.run(range(4, 5), pressure=9.0) == []
    assert clock.run(range(5, 9), pressure=50.0) == []
    clock.evictor.clear()
    assert clock.run(range(9, 14), pressure=50.0) == []
    assert len(clock.run(range(14, 15), pressure=50.0)) == 1


def test_a_refusal_lets_the_next_pod_go() -> None:
    evictor, policy = Evictor(LONG_AGO_S), evicting()
    pods = running("first", memory=5), running("second", memory=4)

    def step(at_s: float, standing: dict[str, Standing]) -> list[Victim]:
        return evictor.step(node(*pods, memory=70, at_s=at_s), policy, NO_CONTROL, NodeState(), standing)

    [victim] = step(0, {})
    assert (victim.pod.name, victim.feature) == ("first", Feature.BE_MEMORY)
    assert "70.00 GiB of 100.00 GiB" in victim.reason
    assert [one.pod.name for one in step(4, {"uid-first": "spared"})] == ["second"]


def test_switching_eviction_off_and_on_gives_no_further_burst() -> None:
    clock = Clock(evicting(), MANY)
    assert len(clock.run(range(1), memory=80)) == 3
    clock.evictor.clear()
    assert clock.run(range(1, 9), memory=80) == []


def test_hours_of_pressure_keep_the_state_small() -> None:
    clock = Clock(evicting(cpuEvictTimeWindowSeconds=3600), MANY)
    clock.run(range(7200), memory=80)
    assert len(clock.evictor._cpu._be._pieces) <= 240
    assert len(clock.evictor._cpu._node._pieces) <= 240
    assert clock.pods == {}


def evicts_everybody() -> Policy:
    return evicting(
        {"memoryPressurePercent": 10, "perMinute": 60, "burst": 100},
        cpuEvictThresholdPercent=80,
        evictEnabledPriorityThreshold=5999,
    )


@pytest.mark.parametrize(
    ("figures", "first_s"),
    [
        pytest.param({"memory": 80}, 4, id="memory"),
        pytest.param({"pressure": 50.0}, 20, id="pressure"),
        pytest.param({"used": 90}, 20, id="cpu"),
    ],
)
def test_a_daemon_that_has_just_started_keeps_the_cool_time_of_the_one_before(
    figures: dict[str, float], first_s: int
) -> None:
    pods = tuple(running(f"p{n}", memory=0.1, used=0.1, labels=ENABLED) for n in range(9))
    clock = Clock(evicts_everybody(), pods, began_s=0.0)
    assert clock.run(range(first_s), **figures) == []
    assert clock.run(range(first_s, first_s + 1), **figures)


@pytest.mark.parametrize("life_s", [1, 5, 15, 60])
def test_a_daemon_that_is_killed_again_and_again_evicts_no_more_than_the_policys_rate(life_s: int) -> None:
    pods, evicted = tuple(running(f"p{number:03}", memory=0.1) for number in range(120)), 0
    for life in range(120 // life_s):
        clock = Clock(evicting(), pods, began_s=float(life * life_s))
        evicted += len(clock.run(range(life * life_s, (life + 1) * life_s), memory=80))
        pods = tuple(clock.pods.values())
    assert evicted <= 120 / 10
