"""What the reconciler remembers of a pod's files: kubelet's own later values, and what was there before a crash. The node is a fake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.reconcile.fake_node import HALVED, FakeNode

POD = "kubepods/burstable/p"


def quota(node: FakeNode, directory: str) -> int | None:
    return node.kernel.cgroups[directory].quota


def limited(node: FakeNode, asked_us: int = 80_000) -> str:
    """A pod of one container with this quota, both; the container's cgroup."""
    pod = node.pod("p", "LS", cpu_quota=asked_us)
    return node.container(pod, cpu_quota=asked_us)


@pytest.mark.parametrize("version", [1, 2])
def test_a_pod_that_kubelet_resized_is_scaled_from_its_new_quota(version: int) -> None:
    node = FakeNode(version)
    node.set_policy(**HALVED)
    container = limited(node)
    node.run_pass()
    whole = 1 if version == 2 else 2  # on v1 the pod keeps kubelet's quota
    assert (quota(node, POD), quota(node, container)) == (40_000 * whole, 40_000)

    node.kernel.cgroups[POD].quota = 160_000
    entry = node.ledger.containers_of("p")[0]
    entry.baseline = entry.baseline.moved_by(type(entry.baseline)(cpu_quota=160_000))
    node.kernel.cgroups[container].quota = 80_000
    node.run_pass("pod")
    assert (quota(node, POD), quota(node, container)) == (80_000 * whole, 80_000)

    node.set_policy()
    node.run_pass()
    assert (quota(node, POD), quota(node, container)) == (160_000, 160_000)


def test_what_was_there_is_on_disk_before_the_first_write() -> None:
    saved: list[dict[str, Any]] = []
    written_then: list[int | None] = []

    def save() -> None:
        saved.append(json.loads(json.dumps(node.ledger.all_originals())))
        written_then.append(quota(node, POD))

    node = FakeNode(2, save=save)
    node.set_policy(**HALVED)
    limited(node)
    node.run_pass()
    assert saved[0]["p"] == {"cpu.quota": 80_000}
    assert written_then[0] == 80_000


def test_a_crash_right_after_a_write_does_not_scale_twice() -> None:
    on_disk: dict[str, Any] = {}
    node = FakeNode(2, save=lambda: on_disk.update(json.loads(json.dumps(node.ledger.all_originals()))))
    node.set_policy(**HALVED)
    limited(node)
    node.run_pass()
    assert quota(node, POD) == 40_000

    crashed = FakeNode(2, node.kernel, on_disk)
    crashed.set_policy(**HALVED)
    crashed.ledger.remember_pod(node.ledger.pods()[0])
    crashed.run_pass("sweep")
    assert quota(crashed, POD) == 40_000
