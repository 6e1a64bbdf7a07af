"""Two nodes with the same life: births, resizes, ends, changes of policy, restarts of either side. On one the daemon's system calls fail.

Afterwards its daemon lives, no bug was contained, and its cgroups are as on the other node.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon.kubelet_node import KubeletNode
from tests.examples import TIMES
from tests.support.system_calls import CLOCK, VANISH_AFTER, VANISH_BEFORE, Fault, SystemCalls
from tests.support.waiting import eventually

QUOTAS = (30_000, 70_000, 110_000, 130_000)
"""µs. None is half of another: kubelet's own value must not look like one of koordnri's."""
POLICIES = (
    "{}\n",
    'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n',
    "resource-qos-config: {clusterStrategy: {lsClass: {memoryQOS: {enable: true, minLimitPercent: 50, throttlingPercent: 80}}}}\n",
    "cpu-burst-config: {clusterStrategy: {policy: auto, cpuBurstPercent: 100}}\n",
    "resource-qos-config: {clusterStrategy: {beClass: {cpuQOS: {enable: true, groupIdentity: -1}}}}\n",
)
NUMBERS = (errno.EIO, errno.EPERM, errno.ENOSPC, errno.EBUSY, errno.ENOENT, errno.ENODEV, errno.EMFILE)
FILE_POINTS = ["cgroup.open", "cgroup.read", "cgroup.write", "host.open", "host.read", "host.list"]
STATE_POINTS = ["state.open", "state.fsync", "state.rename"]
CONNECTION_POINTS = ["nri.connect", "nri.send", "nri.recv"]

NONE, ONCE = st.just(0), st.just(1)
after = st.sampled_from([0, 0, 1, 2, 5, 12])
faults = st.one_of(
    st.builds(Fault, st.sampled_from(FILE_POINTS), st.sampled_from(NUMBERS), after, st.integers(1, 6)),
    st.builds(Fault, st.sampled_from(STATE_POINTS), st.sampled_from(NUMBERS), st.integers(0, 3), st.integers(1, 3)),
    st.builds(Fault, st.just("cgroup.write"), st.sampled_from([VANISH_BEFORE, VANISH_AFTER]), after, ONCE),
    st.builds(Fault, st.just("cgroup.open"), st.sampled_from([VANISH_BEFORE, VANISH_AFTER]), after, ONCE),
    st.builds(
        Fault, st.sampled_from(CONNECTION_POINTS[1:]), st.sampled_from([errno.EPIPE, errno.ECONNRESET]), after, ONCE
    ),
    st.builds(Fault, st.just(CONNECTION_POINTS[0]), st.sampled_from([errno.ECONNREFUSED, errno.EACCES]), NONE, ONCE),
    st.builds(Fault, st.just(CLOCK), st.sampled_from([-86_400, 86_400]), NONE, ONCE),
)
births = st.tuples(st.just("birth"), st.sampled_from(["LS", "BE"]), st.sampled_from(QUOTAS))
changes = st.one_of(
    births,
    st.tuples(st.just("resize"), st.integers(0, 9), st.sampled_from(QUOTAS)),
    st.tuples(st.just("end"), st.integers(0, 9)),
    st.tuples(st.just("policy"), st.sampled_from(POLICIES)),
    st.tuples(st.just("policy"), st.sampled_from(POLICIES)),
    st.tuples(st.just("restart"), st.sampled_from(["daemon", "runtime"])),
)
Step = tuple[object, ...]
MOST_RESTARTS = 2
"""of one life: after each, koordnri waits twice as long before it registers again"""


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """A pod or two, then changes, before some of which a fault is set."""
    found: list[Step] = draw(st.lists(births, min_size=1, max_size=2))
    later: list[Step] = draw(st.lists(changes, min_size=3, max_size=8))
    restarts = [step for step in later if step[0] == "restart"]
    for step in restarts[MOST_RESTARTS:]:
        later.remove(step)
    later = later or [("policy", POLICIES[1])]
    for fault in draw(st.lists(faults, min_size=1, max_size=3)):
        later.insert(draw(st.integers(0, len(later) - 1)), ("fault", fault))
    return found + later


class Pair:
    """A node that is disturbed, and one that is not."""

    def __init__(self, directory: Path) -> None:
        self.nodes = [KubeletNode(directory / name, POLICIES[0]) for name in ("a", "b")]
        self.disturbed, self.other = self.nodes
        self.calls = SystemCalls(
            {"cgroup": self.disturbed.cgroups, "host": self.disturbed.root, "state": self.disturbed.state},
            {"nri": self.disturbed.socket},
            directory,
        )
        self.alive: list[int] = []
        self.born = 0
        self.loses_state = False
        """a fault of the state directory was set: a daemon that starts again may lack what it could not save"""

    def do(self, step: Step) -> None:
        """One step of the life, on both nodes. Then both check all files, so that a fault finds calls to strike."""
        self._change(step)
        if step[0] != "fault":
            for node in self.nodes:
                with contextlib.suppress(TimeoutError):
                    node.running.daemon.parts.requests.ask(node.running.daemon.parts.ledger.pods(), 5)

    def _change(self, step: Step) -> None:
        if isinstance(step[1], Fault):
            self.loses_state |= step[1].point in STATE_POINTS
        match step:
            case ("birth", str(qos), int(quota)):
                self.born += 1
                self.alive.append(self.born)
                for node in self.nodes:
                    node.birth(self.born, qos, quota)
            case ("resize", int(which), int(quota)) if self.alive:
                for node in self.nodes:
                    node.resize(self.alive[which % len(self.alive)], quota)
            case ("end", int(which)) if self.alive:
                number = self.alive.pop(which % len(self.alive))
                for node in self.nodes:
                    node.end(number)
            case ("policy", str(policy)):
                for node in self.nodes:
                    node.set_policy(policy)
            case ("restart", "runtime"):
                for node in self.nodes:
                    node.runtime.restart()
            case ("restart", "daemon") if not self.loses_state:
                for node in self.nodes:
                    node.running.close()
                    node.start_daemon()
            case ("fault", Fault() as fault):
                self.calls.arm(fault)

    def same(self) -> bool:
        """Whether the disturbed node has the other's files; cgroups that vanished are on both gone."""
        mine, others = self.disturbed.files(), self.other.files()
        here = {os.path.dirname(path) for path in mine}
        expected = {path: text for path, text in others.items() if os.path.dirname(path) in here}
        wrong = {path for path in mine.keys() | expected.keys() if mine.get(path) != expected.get(path)}
        assert not wrong, {path: (mine.get(path), expected.get(path)) for path in sorted(wrong)}
        return True

    def check(self) -> None:
        """The faults are over: the end is the same."""
        self.calls.disarm()
        for node in self.nodes:
            eventually(lambda node=node: node.runtime.plugins, f"a registered daemon after {self.calls.struck}")
            node.running.daemon.parts.requests.trigger()
        eventually(self.same, f"the same files after {self.calls.struck}", 60)
        for node in self.nodes:
            assert node.running.failure is None
            assert node.running.code is None, "it ended"
            assert not node.running.daemon.parts.faults.counts, node.running.logged("contained_fault")
            assert not node.running.logged("event_failed")


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """What `run` sets for the whole process is taken back."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


def live(life: list[Step], *early: Fault) -> list[str]:
    """Live it on a new pair of nodes. `early` faults are there before the daemon starts. Returns the faults that happened."""
    with tempfile.TemporaryDirectory(prefix="koordnri-") as directory:
        for name in ("a", "b"):
            Path(directory, name).mkdir()
        pair = Pair(Path(directory))
        with pair.calls:
            pair.calls.arm(*early)
            pair.loses_state = any(fault.point in STATE_POINTS for fault in early)
            for node in pair.nodes:  # not in the test's thread, whose system calls are exempt
                thread = threading.Thread(target=node.start)
                thread.start()
                thread.join()
            try:
                for step in life:
                    pair.do(step)
                pair.check()
            finally:
                for node in pair.nodes:
                    node.close()
        return pair.calls.struck


@pytest.mark.timeout(600)
@settings(
    max_examples=4 if TIMES == 1 else 15, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True
)
@given(lives(), st.lists(faults, max_size=1))
def test_a_node_on_which_system_calls_fail_ends_as_one_on_which_none_does(life: list[Step], early: list[Fault]) -> None:
    live(life, *early)


@pytest.mark.full
@pytest.mark.parametrize("point", [*FILE_POINTS, *STATE_POINTS, *CONNECTION_POINTS])
def test_a_fault_at_any_point_costs_neither_the_start_nor_what_follows(point: str) -> None:
    life: list[Step] = [("birth", "LS", 70_000), ("policy", POLICIES[1]), ("resize", 0, 130_000)]
    assert live(life, Fault(point, errno.EIO, 0, 2))


def test_nothing_is_left_of_a_daemon_that_was_disturbed() -> None:
    life: list[Step] = [
        ("birth", "LS", 70_000),
        ("fault", Fault("cgroup.write", errno.EIO, 0, 3)),
        ("policy", POLICIES[1]),
        ("fault", Fault("nri.recv", errno.ECONNRESET)),
        ("birth", "BE", 30_000),
        ("fault", Fault("state.fsync", errno.ENOSPC, 0, 2)),
        ("end", 0),
    ]
    live(life)
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    assert live(life)
    eventually(lambda: threading.active_count() <= threads, "no more threads than before")
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors, "no more descriptors than before")
