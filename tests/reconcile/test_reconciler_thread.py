"""When passes happen: triggers from other threads, the debounce, the sweep, the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from koordnri.reconcile.reconciler import SWEEP_S
from koordnri.state.world import World
from tests.reconcile.fake_node import HALVED, FakeNode
from tests.support.waiting import PATIENCE_S

FOR_EVER_S = 600.0


class Running:
    """A reconciler that runs in a thread. Each pass waits at its start, where it asks for the world, until the test lets it go."""

    def __init__(self, **options: Any) -> None:
        self.now = 0.0
        self._begun: queue.Queue[None] = queue.Queue()
        self._go: queue.Queue[None] = queue.Queue()
        self.node = FakeNode(
            world=self._world, monotonic=lambda: self.now, **{"debounce_s": 0.0, "cpu_s": lambda: self.now} | options
        )
        for name in ("p", "q"):
            self.node.container(self.node.pod(name), cpu_quota=80_000)
        self.requests, self.stats = self.node.requests, self.node.reconciler.stats
        self._failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.node.reconciler.run()
        except BaseException as error:  # noqa: BLE001  # asked for by `end`
            self._failure = error

    def _world(self, world: World) -> World:
        self._begun.put(None)
        self._go.get(timeout=PATIENCE_S)
        # What the pass decides by is read once it may go on: as if it had begun only now.
        return world._replace(snapshot=self.node.snapshot)

    def wait_begun(self) -> None:
        """Until a pass is under way; it is held there."""
        self._begun.get(timeout=PATIENCE_S)

    def let_go(self) -> None:
        """The pass that is held goes on; so does, later, the next one if none is held."""
        self._go.put(None)

    def one_pass(self) -> None:
        """Waits for a pass to begin, and lets it go on."""
        self.wait_begun()
        self.let_go()

    def end(self) -> None:
        """Stops it, and shows what it died of."""
        self.requests.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "it does not end"
        assert self._failure is None
        assert self._begun.empty(), "a pass that nobody asked for"

    def quotas(self) -> list[int | None]:
        return [self.node.kernel.cgroups[f"kubepods/burstable/{p}/{p}-main"].quota for p in "pq"]


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    started = []

    def start(start: bool = True, **options: Any) -> Running:
        started.append(Running(**options))
        if start:
            started[-1].thread.start()
        return started[-1]

    yield start
    for one in started:
        one.let_go()
        one.requests.stop()
        one.thread.join(PATIENCE_S)


def test_a_trigger_of_all_brings_everything_to_the_present_decision(running):
    it = running()
    it.node.set_policy(**HALVED)
    it.requests.trigger()
    it.one_pass()
    it.end()
    assert it.quotas() == [40_000, 40_000]
    assert it.stats.passes == {"change": 1}


def test_a_trigger_of_one_pod_is_about_that_pod_and_is_not_debounced(running):
    it = running(debounce_s=FOR_EVER_S)
    it.node.set_policy(**HALVED)
    it.requests.trigger("q")
    it.one_pass()
    it.end()
    assert it.quotas() == [80_000, 40_000]
    assert it.stats.passes == {"pod": 1}


def test_a_pod_that_is_gone_by_then_is_nothing(running):
    it = running()
    it.requests.trigger("never-seen")
    it.one_pass()
    it.end()
    assert it.stats.passes == {"pod": 1}


@pytest.mark.parametrize("trigger", [None, "p"])
def test_a_trigger_during_a_pass_is_not_lost(running, trigger):
    it = running()
    it.requests.trigger("q")
    it.wait_begun()
    it.requests.trigger(trigger)
    it.let_go()
    it.wait_begun()
    it.node.set_policy(**HALVED)
    it.let_go()
    it.end()
    assert it.quotas() == ([40_000, 40_000] if trigger is None else [40_000, 80_000])


def test_triggers_within_the_debounce_make_one_pass(running):
    it = running(debounce_s=7.0)
    it.requests.trigger()
    it.requests.trigger("p")
    it.now = 6.0
    it.requests.trigger()
    it.node.set_policy(**HALVED)
    it.now = 7.0
    it.requests.wake()
    it.one_pass()
    it.requests.trigger("p")
    it.one_pass()
    it.end()
    assert it.quotas() == [40_000, 40_000]
    assert it.stats.passes == {"change": 1, "pod": 1}


def test_passes_over_everything_rest_seven_times_their_cpu_time_unless_somebody_waits(running):
    it = running()

    def ask() -> None:
        """Comes back after a pass of its own, and so after those before it."""
        it.let_go()
        it.requests.ask([], PATIENCE_S)
        it.wait_begun()

    it.requests.trigger()
    it.wait_begun()
    it.now = 0.5
    it.let_go()
    ask()
    it.requests.trigger()
    it.requests.trigger("p")
    it.one_pass()
    ask()
    assert it.stats.passes == {"change": 1, "pod": 1, "asked": 2}
    it.now = 4.0
    it.requests.wake()
    it.wait_begun()
    it.now = 4.5
    it.let_go()
    ask()
    assert it.stats.passes == {"change": 2, "pod": 1, "asked": 3}
    number = it.requests.hurry()
    it.one_pass()
    assert it.requests.wait_done(number, PATIENCE_S)
    it.end()
    assert it.stats.passes == {"change": 3, "pod": 1, "asked": 3}


def test_triggers_during_a_pass_make_one_more(running):
    it = running()
    it.requests.trigger("p")
    it.wait_begun()
    for _ in range(3):
        it.requests.trigger()
        it.requests.trigger("q")
    it.let_go()
    it.one_pass()
    # Were there another one to come, it would come before this one's.
    it.requests.trigger("p")
    it.one_pass()
    it.end()
    assert it.stats.passes == {"pod": 2, "change": 1}


def test_everything_is_swept_when_it_is_time(running):
    it = running()
    it.node.set_policy(**HALVED)
    it.requests.trigger("p")
    it.wait_begun()
    it.now = SWEEP_S
    it.let_go()
    it.one_pass()
    it.requests.trigger("p")
    it.one_pass()
    it.now = 2 * SWEEP_S - 0.1
    it.requests.wake()
    it.one_pass()  # what stands above the pods was not looked at when the last pod was, so soon after the sweep
    it.end()
    assert it.quotas() == [40_000, 40_000]
    assert it.stats.passes == {"pod": 3, "sweep": 1}


def test_from_a_change_to_the_last_file_read_back_is_timed_from_the_first_trigger(running):
    it = running()
    it.requests.trigger("p")
    it.wait_begun()
    it.now = 1.0
    it.requests.trigger()
    it.now = 3.0
    it.requests.trigger()
    it.let_go()
    it.wait_begun()
    it.now = 4.5
    it.let_go()
    it.end()
    assert it.stats.changed_to_verified_s == 3.5


@pytest.mark.parametrize("trigger", [True, False], ids=["debouncing", "idle"])
def test_it_ends_at_once_without_another_pass(running, trigger):
    it = running(debounce_s=FOR_EVER_S)
    if trigger:
        it.requests.trigger()
    it.end()
    assert not it.stats.passes


def test_it_ends_after_the_pass_that_is_under_way(running):
    it = running()
    it.node.set_policy(**HALVED)
    it.requests.trigger()
    it.wait_begun()
    it.requests.stop()
    it.let_go()
    it.thread.join(PATIENCE_S)
    assert not it.thread.is_alive()
    assert it.quotas() == [40_000, 40_000]
