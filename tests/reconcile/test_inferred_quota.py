"""When a pod's quota is inferred from its containers, and when its file is believed."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.chain import Chain
from koordnri.hook import Hook, PodContext
from koordnri.model import Container, Resources, fields
from koordnri.reconcile.inferred_quota import InferredQuota
from tests.reconcile.fake_node import FakeNode

POD = "kubepods/burstable/p"


class Halves(Hook):
    """Halves a pod's quota."""

    name, order, owns = "com.example.halves", 1, (fields.CPU_QUOTA,)

    def decide_pod(self, ctx: PodContext) -> None:
        ctx.set(fields.CPU_QUOTA, (ctx.pod.resources.cpu_quota or 0) // 2, "as an example")


class Scene:
    """A pod whose file has a quota, perhaps ours."""

    def __init__(self, quota_us: int) -> None:
        self.node = FakeNode(2, hooks=[Halves()])
        self.pod = self.node.pod("p", cpu_quota=quota_us)
        self.inferred = InferredQuota(Chain([Halves()]), self.node.ledger)

    def of(self, before: dict[str, Any], **quotas_us: int) -> dict[str, Any]:
        containers = [Container(n, n, "p", Resources(cpu_quota=quota)) for n, quota in quotas_us.items()]
        return self.inferred.of(self.pod, before, containers, self.node.snapshot, self.node.machine.writer(2), POD)


@pytest.mark.parametrize(
    ("in_file_us", "inferred"),
    [(50_000, {"cpu.quota": 100_000}), (60_000, {}), (100_000, {})],
    ids=["what-we-make-of-the-sum", "something-else", "the-sum-itself"],
)
def test_without_notes_the_files_value_is_ours_if_we_would_make_it_of_the_sum(in_file_us, inferred):
    scene = Scene(in_file_us)
    assert scene.of({}, a=60_000, b=40_000) == inferred
    assert scene.node.ledger.originals("p") == inferred


def test_a_resize_of_containers_moves_an_original_that_was_their_sum():
    scene = Scene(50_000)
    scene.node.ledger.intend("p", {"cpu.quota": 100_000})
    assert scene.of({"cpu.quota": 100_000}, a=100_000) == {}
    assert scene.of({"cpu.quota": 100_000}, a=50_000) == {"cpu.quota": 50_000}
    assert scene.node.ledger.originals("p") == {"cpu.quota": 50_000}


def test_a_resize_of_containers_moves_no_original_that_was_something_else():
    scene = Scene(50_000)
    scene.of({"cpu.quota": 70_000}, a=100_000)
    assert scene.of({"cpu.quota": 70_000}, a=50_000) == {}


def test_a_container_that_crashed_is_no_resize():
    scene = Scene(50_000)
    scene.of({"cpu.quota": 100_000}, a=60_000, b=40_000)
    assert scene.of({"cpu.quota": 100_000}, a=60_000) == {}
    assert scene.of({"cpu.quota": 100_000}, a=60_000, b=40_000) == {}


def test_of_a_pod_that_is_gone_nothing_is_remembered():
    scene = Scene(50_000)
    scene.of({"cpu.quota": 100_000}, a=100_000)
    scene.inferred.keep(["q"])
    assert scene.of({"cpu.quota": 100_000}, a=50_000) == {}, "seen for the first time"
