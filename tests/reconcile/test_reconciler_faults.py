"""Whatever happens to one pod during a pass, the pass comes to its end, the other pods are done, and the next pass mends what it can."""

from __future__ import annotations

import errno
import os

import pytest
from fake_node import HALVED, MIB, FakeNode, quotas_of

from koordnri.host.change import Status
from tests.host.watched_kernel import NEVER, WatchedKernel

BOTH = pytest.mark.parametrize("version", [1, 2])
CLASSES = ("kubepods", "kubepods/burstable", "kubepods/besteffort")
MEMORY = {
    "resource_qos_config": {
        "clusterStrategy": {
            "lsClass": {
                "memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 60, "throttlingPercent": 80}
            }
        }
    }
}


def node_of(version: int) -> tuple[FakeNode, WatchedKernel]:
    """Two pods with two containers each, under a policy that has come since."""
    kernel = WatchedKernel(version, CLASSES)
    node = FakeNode(version, kernel)
    pods = [
        node.pod(name, "LS", requests={"a": "16Mi", "b": "8Mi"}, cpu_quota=100_000, memory_limit=64 * MIB)
        for name in ("one", "two")
    ]
    for pod in pods:
        node.container(pod, "a", cpu_quota=60_000, memory_limit=40 * MIB)
        node.container(pod, "b", cpu_quota=40_000, memory_limit=24 * MIB)
    node.run_pass()
    node.set_policy(**HALVED, **MEMORY)
    return node, kernel


def the_others(node: FakeNode) -> dict[str, int | None]:
    return {name: quota for name, quota in quotas_of(node).items() if name.startswith("two")}


def undisturbed(version: int) -> tuple[int, dict[str, int | None]]:
    """Calls that a pass takes, and what it brings the other pod."""
    node, kernel = node_of(version)
    kernel.at_call(NEVER, lambda path: None)
    node.run_pass()
    return kernel.calls, the_others(node)


@BOTH
def test_a_pods_cgroup_may_vanish_at_any_moment_of_a_pass(version):
    calls, right = undisturbed(version)
    for at in range(1, calls + 1):
        node, kernel = node_of(version)

        def vanish(path, kernel=kernel):
            for name in [n for n in kernel.cgroups if "/one" in n]:
                del kernel.cgroups[name]

        kernel.at_call(at, vanish)
        outcomes = node.run_pass()
        assert {o.status for o in outcomes} <= {Status.WRITTEN, Status.SAME, Status.GONE}, at
        assert the_others(node) == right, at
        node.run_pass("sweep")
        assert the_others(node) == right, at


@BOTH
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_what_could_not_be_read_or_written_at_one_pass_is_made_right_by_the_next(version, number):
    calls, right = undisturbed(version)
    for at in range(1, calls + 1):
        node, kernel = node_of(version)

        def fail(path, kernel=kernel):
            raise OSError(number, os.strerror(number), path)

        def fail_on_files(path, kernel=kernel, fail=fail):
            if path.rpartition("/")[2].partition(".")[0] in ("cpu", "memory", "cpuset", "io") and "." in path:
                fail(path)

        kernel.at_call(at, fail_on_files)
        node.run_pass()
        node.run_pass("asked")
        assert the_others(node) == right, at
        assert all(quotas_of(node)[f"one-{c}"] == right[f"two-{c}"] for c in "ab"), at
        assert quotas_of(node).get("one") == right.get("two"), at


@BOTH
def test_a_file_that_is_unreadable_for_whole_passes_is_known_again_afterwards(version):
    """What we had written there is not taken for kubelet's."""
    node, kernel = node_of(version)
    node.run_pass()
    right, ledger = quotas_of(node), node.ledger.all_written()
    read = kernel.read

    def unreadable(path: str) -> str:
        if "/one" in path and ("cpu" in path or "memory" in path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return read(path)

    kernel.read = unreadable
    for trigger in ("asked", "sweep", "change", "pod"):
        node.run_pass(trigger)
    kernel.read = read
    for trigger in ("asked", "sweep", "change"):
        node.run_pass(trigger)
    assert (quotas_of(node), node.ledger.all_written()) == (right, ledger)
