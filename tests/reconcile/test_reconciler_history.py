"""What the reconciler reports to the history: each file that it wrote, with the values before and after, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from koordnri.model.node import Resctrl
from koordnri.state.causes import PassDone
from koordnri.state.history import History
from tests.reconcile.fake_node import HALVED, FakeNode


class Remembered:
    """A node with one pod, whose container and pod have a quota of 50 ms, and its history."""

    def __init__(self) -> None:
        self.passes: list[PassDone] = []
        self.node = FakeNode(passed=self.passes.append)
        self.history = History(self.node.snapshot)
        self.pod = self.node.pod("web", cpu_quota=50_000)
        self.cgroup = self.node.container(self.pod, cpu_quota=50_000)
        self.node.run_pass()

    def lines(self) -> list[tuple[Any, ...]]:
        """All changes of the quota: container, old, new, cause, detail."""
        for done in self.passes:
            self.history.passed(done)
        self.passes.clear()
        changes = list(self.history.of_pod("shop", "web"))
        return [(c.container, c.old, c.new, c.cause, c.detail) for c in changes if c.field == "cpu.quota"]


def halved() -> Remembered:
    it = Remembered()
    it.node.set_policy(**HALVED)
    it.node.run_pass()
    it.lines()
    return it


def test_a_pass_that_writes_nothing_changes_nothing() -> None:
    it = halved()
    before = it.lines()
    it.node.run_pass("sweep")
    assert it.lines() == before
    assert it.passes == []


def test_a_new_policy_shows_the_values_before_and_after_of_pod_and_container() -> None:
    it = halved()
    assert {line[:4] for line in it.lines()} == {("", 50_000, 25_000, "policy"), ("main", 50_000, 25_000, "policy")}
    change = next(c for c in it.history.of_pod("shop", "web") if c.container == "main")
    assert change.hook == "cfs_quota"
    assert "normali" in change.reason


def test_an_overwritten_file_that_has_its_value_again_is_drift() -> None:
    it = halved()
    it.node.kernel.cgroups[it.cgroup].quota = 77_000
    it.node.run_pass("sweep")
    assert it.lines()[2:] == [("main", 77_000, 25_000, "drift", "overwritten by unknown")]


def test_a_release_is_the_cause_of_what_it_gives_back() -> None:
    it = halved()
    it.node.state = replace(it.node.state, released=frozenset({it.pod.id}))
    it.node.run_pass("asked")
    assert {line[:4] for line in it.lines()[2:]} == {
        ("", 25_000, 50_000, "release"),
        ("main", 25_000, 50_000, "release"),
    }


class NoShares:
    """In place of koordnri.resctrl.shares.CacheShares: there are no files."""

    def groups(self, *_: Any) -> None: ...

    def threads(self, *_: Any, **__: Any) -> None: ...


def test_a_policy_that_puts_a_container_into_a_resctrl_group_is_in_its_history() -> None:
    passes: list[PassDone] = []
    node = FakeNode(passed=passes.append, cache=NoShares())
    node.state = replace(node.state, resctrl=Resctrl("intel", 0xFF, 8, (0,), frozenset({"LS"})))
    node.container(node.pod("web", "LS"))
    node.run_pass()
    node.set_policy(resource_qos_config={"lsClass": {"resctrlQOS": {"enable": True, "catRangeEndPercent": 50}}})
    node.run_pass()
    history = History(node.snapshot)
    for done in passes:
        history.passed(done)
    lines = [(c.container, c.field, c.old, c.new, c.cause, c.hook) for c in history.of_pod("shop", "web")]
    assert ("main", "rdt.closid", "", "LS", "policy", "rdt") in lines
