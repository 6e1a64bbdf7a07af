"""What a feedback controller wants: its file gets the value, the runtime's stored spec never does, and afterwards nothing is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.hook import ContainerContext, Hook
from koordnri.host.cgroup.change import Status
from koordnri.model import Container, Event, fields
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.model.difference import unrecorded
from koordnri.model.routes import CONTROL
from tests.reconcile.fake_node import FakeNode, quotas_of, undone

BOTH = pytest.mark.parametrize("version", [1, 2])


class Burst(Hook):
    """Half of kubelet's quota, and what a controller wants instead."""

    name, order, owns = "burst", 20, (fields.CPU_QUOTA,)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decide(self, ctx: ContainerContext) -> None:
        self.asked.append(ctx.container.id)
        if quota_us := ctx.baseline.cpu_quota:
            ctx.set(fields.CPU_QUOTA, quota_us // 2, "half")
        if (wanted := ctx.node.control.quotas_us.get(ctx.container.id)) is not None:
            ctx.control(fields.CPU_QUOTA, wanted.value, wanted.reason)


def wanting(node: FakeNode, **quotas_us: int) -> None:
    """Controllers want these quotas: container, with _ for -."""
    wanted = {name.replace("_", "-"): Wanted(value, "throttled") for name, value in quotas_us.items()}
    node.state = replace(node.state, control=Control(quotas_us=wanted) if wanted else NO_CONTROL)


def two_pods(version: int = 2, **options: Any) -> tuple[FakeNode, Burst]:
    hook = Burst()
    node = FakeNode(version, hooks=[hook], **options)
    for name in ("web", "other"):
        node.container(node.pod(name, cpu_quota=100_000), cpu_quota=60_000)
    node.run_pass()
    return node, hook


@BOTH
def test_a_wanted_value_is_written_and_given_back_to_what_is_decided_otherwise(version):
    node, _ = two_pods(version)
    wanting(node, web_main=50_000)
    node.run_pass()
    assert quotas_of(node)["web-main"] == 50_000
    wanting(node)
    node.run_pass()
    assert quotas_of(node)["web-main"] == 30_000
    assert quotas_of(node)["other-main"] == 30_000


@BOTH
def test_a_container_that_nothing_else_decides_gets_its_baseline_back_even_after_a_crash(version):
    node = FakeNode(version, hooks=[Wishes()])
    node.container(node.pod("web", cpu_quota=100_000), cpu_quota=60_000)
    wanting(node, web_main=80_000)
    node.run_pass()
    assert quotas_of(node)["web-main"] == 80_000
    wanting(node)
    after = node.restarted()
    after.run_pass()
    assert quotas_of(after)["web-main"] == 60_000
    assert after.ledger.all_originals() == {}


class Wishes(Burst):
    """Decides nothing but what a controller wants."""

    def decide(self, ctx: ContainerContext) -> None:
        if (wanted := ctx.node.control.quotas_us.get(ctx.container.id)) is not None:
            ctx.control(fields.CPU_QUOTA, wanted.value, wanted.reason)


def test_the_original_is_saved_before_the_value_is_written():
    """A crash in between must not leave a value that nobody knows to be ours."""
    node = FakeNode(
        hooks=[Wishes()],
        save=lambda: saved.append((quotas_of(node)["web-main"], dict(node.ledger.originals("web-main")))),
    )
    saved: list[tuple[int | None, dict[str, Any]]] = []
    node.container(node.pod("web", cpu_quota=100_000), cpu_quota=60_000)
    wanting(node, web_main=80_000)
    node.run_pass()
    assert saved == [(60_000, {"cpu.quota": 60_000})]


def test_the_stored_spec_keeps_what_is_decided_otherwise():
    node, _ = two_pods()
    wanting(node, web_main=50_000)
    node.run_pass()
    entry = node.ledger.container("web-main")
    pod = node.ledger.pod("web")
    assert entry is not None
    assert pod is not None
    decision = node._events.decide_container(
        pod, Container(entry.id, "main", pod.id, entry.baseline), Event.SYNC, node.snapshot
    )
    assert decision.in_files["cpu.quota"][2:] == (50_000, "burst", "throttled", CONTROL)
    assert decision.settings["cpu.quota"].value == decision.value(fields.CPU_QUOTA) == 30_000
    assert unrecorded(decision, entry.baseline, entry.sent, node.state) == []


def test_a_push_that_applies_the_stored_spec_is_no_drift_of_the_wanted_value():
    node, _ = two_pods()
    wanting(node, web_main=50_000)
    node.run_pass()
    node.ledger.recorded("web-main", {"cpu.shares": 7})  # the runtime applies the container's whole spec
    node.kernel.cgroups["kubepods/burstable/web/web-main"].quota = 30_000
    node.run_pass("sweep")
    assert quotas_of(node)["web-main"] == 50_000
    assert undone(node) == {}
    entry = node.ledger.container("web-main")
    assert entry is not None
    assert entry.drifted == frozenset()


def test_what_somebody_else_writes_over_it_is_healed_and_never_recorded():
    node, _ = two_pods()
    wanting(node, web_main=50_000)
    node.run_pass()
    node.kernel.cgroups["kubepods/burstable/web/web-main"].quota = 7_000
    node.run_pass("sweep")
    assert quotas_of(node)["web-main"] == 50_000
    assert undone(node) == {"cpu.quota": 1}
    entry = node.ledger.container("web-main")
    assert entry is not None
    assert entry.drifted == frozenset()


def test_only_the_pods_concerned_are_decided_again():
    node, hook = two_pods()
    wanting(node, web_main=50_000)
    for _ in range(2):
        node.run_pass("sweep")  # the first write notes an original, after which all plans are made once more
    hook.asked.clear()
    wanting(node, web_main=40_000)
    assert node.run_pass("sweep")
    assert hook.asked == ["web-main"]
    node.run_pass("sweep")
    assert hook.asked == ["web-main"]
    assert quotas_of(node)["web-main"] == 40_000


def test_a_hook_that_is_only_observed_controls_nothing():
    node, _ = two_pods()
    node.set_policy(koordnri_config={"clusterStrategy": {"hooks": {"burst": {"mode": "observe"}}}})
    wanting(node, web_main=50_000)
    assert Status.WRITTEN in {outcome.status for outcome in node.run_pass()}
    assert quotas_of(node)["web-main"] == 60_000
