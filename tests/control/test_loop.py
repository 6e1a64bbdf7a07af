"""The loop: what is on, what is measured for it, what is published, and that nothing is left."""

from __future__ import annotations

import threading
from typing import Any

from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.control.around import Around
from koordnri.control.gauge import Needs
from koordnri.control.kinds import Kind, Step
from koordnri.control.loop import ControlLoop
from koordnri.control.sampler import Demand
from koordnri.control.signals import Load, Signals
from koordnri.model import CPUSet, NodeState
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.support.policies import policy_of
from tests.support.waiting import PATIENCE_S

SUPPRESS = {"resource_threshold_config": {"enable": True}}


class FakeSampler:
    """Notes what is demanded; the node uses nothing."""

    def __init__(self) -> None:
        self.demands: list[Demand] = []
        self.closed = 0

    def sample(self, now_s: float, demand: Demand, world: World, around: Around) -> Signals:
        self.demands.append(demand)
        return Signals(now_s, 1.0, CPUSet.parse("0-7"), Load(used_cores=0.0), 0)

    def close(self) -> None:
        self.closed += 1


class Script:
    """A controller that wants what the test says."""

    def __init__(self, name: str = "cpuSuppress") -> None:
        self.name, self.wants, self.made, self.ended, self.mode = name, NO_CONTROL, 0, 0, "enforce"
        self.fails = False
        self.seen: list[Control] = []

    @property
    def kind(self) -> Kind:
        return Kind(self.name, lambda policy, pods: self.mode, Demand(Needs(cpu=True)), self._make, self._end)

    def _make(self) -> Step:
        self.made += 1
        return self._step

    def _end(self) -> None:
        self.ended += 1

    def _step(self, signals: Any, policy: Any, node: Any, before: Control) -> Control:
        self.seen.append(before)
        if self.fails:
            raise RuntimeError("a bug")
        return self.wants


class Daemon:
    """A loop with everything around it."""

    def __init__(self, *kinds: Kind, monotonic: Any = None) -> None:
        self.sampler, self.log, self.ledger = FakeSampler(), CapturingLogger(), Ledger()
        self.policy, self.ready = policy_of(), True
        self.published: list[Control] = []
        self.now_s = 0.0
        self.loop = ControlLoop(
            self.sampler,  # type: ignore[arg-type]
            self.ledger,
            lambda: World(Snapshot(self.policy, NodeState()), "containerd"),
            self.published.append,
            kinds,
            Faults(self.log),
            self.log,
            ready=lambda: self.ready,
            **({} if monotonic is None else {"monotonic": monotonic}),
        )

    def tick(self) -> None:
        self.loop.tick()

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [call.kwargs for call in self.log.calls if call.args == (event,)]


def be_cpus(text: str) -> Control:
    return Control(be_cpus=Wanted(CPUSet.parse(text), "services need CPUs"))


def test_nothing_is_measured_while_no_controller_is_on():
    script = Script()
    script.mode = "off"
    daemon = Daemon(script.kind)
    daemon.tick()
    assert (daemon.sampler.demands, daemon.sampler.closed, daemon.loop.stats.ticks) == ([], 1, 0)
    assert script.made == 0


def test_what_controllers_want_is_joined_and_published_when_it_changes():
    one, two = Script("a"), Script("b")
    daemon = Daemon(one.kind, two.kind)
    one.wants, two.wants = be_cpus("0-1"), Control(quotas_us={"c": Wanted(5, "x")})
    for _ in range(3):
        daemon.tick()
    assert daemon.published == [Control(be_cpus=one.wants.be_cpus, quotas_us={"c": Wanted(5, "x")})]
    assert two.seen[0] == one.wants, "what those before it want"
    one.wants = NO_CONTROL
    daemon.tick()
    assert daemon.published[-1] == two.wants


def test_a_controller_that_is_switched_off_is_undone_and_forgotten():
    script = Script()
    daemon = Daemon(script.kind)
    script.wants = be_cpus("0-1")
    daemon.tick()
    assert daemon.loop.modes == {"cpuSuppress": "enforce"}
    script.mode = "off"
    daemon.tick()
    assert daemon.published[-1] == NO_CONTROL
    assert (script.made, script.ended, daemon.loop.modes) == (1, 1, {})
    script.mode = "enforce"
    daemon.tick()
    assert script.made == 2


def test_observed_a_controller_is_counted_and_logged_and_does_nothing():
    script = Script()
    script.mode, script.wants = "observe", be_cpus("0-1")
    daemon = Daemon(script.kind)
    daemon.tick()
    assert daemon.published == []
    assert daemon.loop.stats.actuations == {("cpuSuppress", "observe", "down"): 1}
    [line] = daemon.lines("controller_would_act")
    assert line == {"controller": "cpuSuppress", "reason": "services need CPUs", "down": 1, "be_cpus": "0-1"}


def test_another_mode_begins_again():
    script = Script()
    script.wants = be_cpus("0-1")
    daemon = Daemon(script.kind)
    daemon.tick()
    script.mode = "observe"
    daemon.tick()
    assert daemon.published == [be_cpus("0-1"), NO_CONTROL]
    assert script.made == 2


def test_a_controller_with_a_bug_costs_what_it_wanted_and_begins_again():
    one, two = Script("a"), Script("b")
    daemon = Daemon(one.kind, two.kind)
    one.wants, two.wants = be_cpus("0-1"), Control(quotas_us={"c": Wanted(5, "x")})
    daemon.tick()
    one.fails = True
    daemon.tick()
    assert daemon.published[-1] == two.wants
    assert one.made == 2


def test_many_changes_are_one_log_line_per_10_s():
    now = [0.0]
    script = Script()
    daemon = Daemon(script.kind, monotonic=lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        script.wants = be_cpus(f"0-{1 + second % 2}")
        daemon.tick()
    first, second_line = daemon.lines("controller_acted")
    assert first["down"] == 1
    assert (second_line["up"], second_line["down"]) == (5, 5)


def test_nothing_happens_before_it_is_known_what_runs():
    script = Script()
    daemon = Daemon(script.kind)
    daemon.ready = False
    daemon.tick()
    assert script.made == 0


def test_a_policy_that_is_noticed_in_the_idle_time_begins_the_rhythm_at_once():
    now, waits = [100.0], []
    script = Script()
    script.mode, script.wants = "off", be_cpus("0-1")
    daemon = Daemon(script.kind, monotonic=lambda: now[0])

    def sleep(until_s: float) -> None:
        waits.append(until_s - now[0])
        now[0] += min(waits[-1], 3.0)  # something wakes it
        script.mode = "enforce"
        daemon.loop._stopping = len(waits) == 4

    daemon.loop._sleep = sleep  # type: ignore[method-assign]
    daemon.loop.run()
    assert waits == [10.0, 1.0, 1.0, 1.0]


def test_the_thread_notices_a_policy_and_undoes_all_at_its_end():
    script = Script()
    script.mode, script.wants = "off", be_cpus("0-1")
    daemon = Daemon(script.kind)
    arrived = threading.Event()
    publish = daemon.loop._publish
    daemon.loop._publish = lambda wanted: (publish(wanted), arrived.set())  # type: ignore[assignment]
    thread = threading.Thread(target=daemon.loop.run)
    thread.start()
    script.mode = "enforce"
    daemon.loop.noticed(policy_of(**SUPPRESS))
    assert arrived.wait(PATIENCE_S)
    daemon.loop.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert daemon.published == [be_cpus("0-1"), NO_CONTROL]
    assert script.ended == 1
