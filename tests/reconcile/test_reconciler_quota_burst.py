"""Quota burst, from what was measured to the cgroup files: controller, hook and reconciler over a fake kernel."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from koordnri.control.quota_burst import QUIET_S, QuotaBurst
from koordnri.control.signals import ContainerSignals, Load, Signals
from koordnri.host.cgroup.change import Status
from koordnri.model.control import NO_CONTROL, Control
from tests.control.signals import of_pod, signals
from tests.reconcile.fake_node import FakeNode, quotas_of, statuses, undone

BOTH = pytest.mark.parametrize("version", [1, 2])
AUTO = {"cpu_burst_config": {"clusterStrategy": {"policy": "auto"}}}
LIMITS_US = {"main": 60_000, "side": 40_000}


class Loop:
    """A node with one throttled pod of two containers, tick by tick."""

    def __init__(self, version: int, **policy: Any) -> None:
        self.node = FakeNode(version)
        self.node.set_policy(**(policy or AUTO))
        self.pod = self.node.pod("web", "LS", cpu_quota=100_000)
        for name, quota_us in LIMITS_US.items():
            self.node.container(self.pod, name, cpu_quota=quota_us)
        self.node.run_pass()
        self.controller = QuotaBurst(lambda: 0.5)
        self.now_s = 0.0
        self.limits_us = LIMITS_US

    def tick(self, throttled: float, node: float = 1.0) -> dict[str, int | None]:
        """The quotas after a tick."""
        self.now_s += 1
        wanted = self.controller.step(self._measured(throttled, node), self.node.policy, self.node.state)
        control = Control(quotas_us=wanted) if wanted else NO_CONTROL
        self.node.state = replace(self.node.state, control=control)
        outcomes = self.node.run_pass("sweep")
        assert statuses(outcomes) <= {Status.WRITTEN, Status.SAME}
        assert self.node.kernel.violations == []
        return quotas_of(self.node)

    def _measured(self, throttled: float, node: float) -> Signals:
        load = Load(used_cores=0.1, throttled_ratio=throttled)
        below = [ContainerSignals(f"web-{n}", n, load, cpu_limit_milli=us // 100) for n, us in self.limits_us.items()]
        return signals(of_pod(self.pod, 0.2, *below), cpus=8, node=node, at_s=self.now_s)


ASKED = {"web": 100_000, "web-main": 60_000, "web-side": 40_000}


@BOTH
def test_quotas_grow_with_the_pods_and_return_when_it_is_quiet(version: int) -> None:
    loop = Loop(version)
    assert loop.tick(0.5) == {"web": 120_000, "web-main": 72_000, "web-side": 48_000}
    assert loop.tick(0.5) == {"web": 144_000, "web-main": 86_400, "web-side": 57_600}
    assert loop.tick(0.0) == {"web": 144_000, "web-main": 86_400, "web-side": 57_600}
    for _ in range(int(QUIET_S) + 3):
        last = loop.tick(0.0)
    assert last == ASKED
    assert undone(loop.node) == {}
    assert loop.node.ledger.all_originals().get("web-main", {}).keys() <= {"cpu.burst"}


@BOTH
@pytest.mark.parametrize("what", ["turned off", "killed"])
def test_turned_off_or_killed_in_the_middle_it_leaves_no_trace(version: int, what: str) -> None:
    before = Loop(version, cpu_burst_config={}).node.files()
    loop = Loop(version)
    loop.tick(0.5)
    loop.tick(0.5)
    node = loop.node
    if what == "killed":
        node.state = replace(node.state, control=NO_CONTROL)
        node = node.restarted()
        node.set_policy(**AUTO)
        node.run_pass()
        assert quotas_of(node) == ASKED
    node.state = replace(node.state, control=NO_CONTROL)
    node.set_policy()
    node.run_pass()
    assert node.files() == before
    assert node.ledger.all_originals() == {}
    assert node.kernel.violations == []


@BOTH
def test_a_normalised_quota_is_raised_in_proportion_and_nobody_fights(version: int) -> None:
    loop = Loop(version)
    loop.node.state = replace(loop.node.state, normalization_ratio=Fraction(2))
    quotas = loop.tick(0.5)
    assert (quotas["web-main"], quotas["web-side"]) == (36_000, 24_000)
    assert quotas["web"] == (120_000 if version == 1 else 60_000)
    loop.node.run_pass("sweep")
    assert undone(loop.node) == {}


@BOTH
@pytest.mark.parametrize("main_us", [140_000, 30_000])
@pytest.mark.parametrize("late", [False, True])
def test_a_resize_in_the_middle_counts_from_the_new_limit_and_leaves_no_trace(
    version: int, main_us: int, late: bool
) -> None:
    loop = Loop(version)
    loop.tick(0.5)
    loop.tick(0.5)
    node, new = loop.node, {"web": main_us + 40_000, "web-main": main_us, "web-side": 40_000}

    entry = next(one for one in node.ledger.containers_of("web") if one.name == "main")
    entry.baseline = entry.baseline.moved_by(type(entry.baseline)(cpu_quota=main_us))
    if late:
        node.run_pass("pod")
    cgroups = {one: node.kernel.cgroups[f"kubepods/burstable/{one.replace('web-', 'web/web-')}"] for one in new}
    for one in ("web", "web-main") if main_us > 60_000 else ("web-main", "web"):
        cgroups[one].quota = new[one]
    loop.limits_us = {**LIMITS_US, "main": main_us}
    for _ in range(3):
        quotas = loop.tick(0.5)
        assert quotas["web"] == quotas["web-main"] + quotas["web-side"]
        assert main_us <= quotas["web-main"] <= 3 * main_us
    node.state = replace(node.state, control=NO_CONTROL)
    node.set_policy()
    node.run_pass()
    assert quotas_of(node) == new
    assert node.ledger.all_originals() == {}
