"""What is planned for a pod: from its files, its baseline and what a failed hook owns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from koordnri.chain import load_hooks
from koordnri.host.cgroup.change import Status
from koordnri.model import Resources
from koordnri.model.annotations import EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from tests.reconcile.fake_node import HALVED, MIB, Counting, FakeNode, busy_node, pinned_to, statuses
from tests.reconcile.fake_node import quotas_of as quotas

BOTH = pytest.mark.parametrize("version", [1, 2])


def test_a_failing_hooks_fields_stay():
    """It has not stated that it wants nothing. The pod is reported again, with annotations that cannot be read."""
    node = busy_node(2)
    node.set_policy(**HALVED)
    node.run_pass()
    before = {path: text for path, text in node.files().items() if "batch" in path or "pinned" in path}
    wrong = {"batch": EXTENDED_RESOURCE_SPEC.key, "pinned": RESOURCE_STATUS.key}
    for pod in node.ledger.pods():
        if pod.id in wrong:
            node.report_again(pod, {wrong[pod.id]: "{"})
    node.set_policy()
    node.run_pass()
    after = node.files()
    changed = {path for path in before if after[path] != before[path]}
    # Whose assignment cannot be read is as if it had none: it shares, and nothing of that has failed.
    assert changed == {
        "kubepods/pinned/cpu.max", "kubepods/pinned/pinned-main/cpu.max", "kubepods/pinned/pinned-main/cpuset.cpus",
        "kubepods/pinned/pinned/cpuset.cpus",
    }  # fmt: skip
    assert after["kubepods/pinned/pinned-main/cpuset.cpus"] != "2,3"
    assert after["kubepods/besteffort/batch/memory.max"] == str(128 * MIB)


@BOTH
def test_a_pods_baseline_is_what_its_cgroup_has_not_the_sum_that_nri_reports(version):
    """With one container without limit kubelet gives the pod none; NRI's sum would put one there and throttle the container."""
    node = FakeNode(version)
    other_us = 40_000 if version == 2 else 80_000  # see cfs_quota.V1_POD
    pod = node.pod("free", reported=Resources(cpu_quota=50_000, memory_limit=MIB))
    node.container(pod, "limited", cpu_quota=50_000)
    node.container(pod, "unlimited")
    other = node.pod("other", reported=Resources(cpu_quota=50_000), cpu_quota=80_000)
    node.set_policy(**HALVED)
    node.run_pass()
    assert quotas(node) == {"free-limited": 25_000, "other": other_us}
    node.run_pass()
    assert quotas(node) == {"free-limited": 25_000, "other": other_us}, "nor what we wrote ourselves"
    assert node.ledger.originals(other.id) == ({"cpu.quota": 80_000} if version == 2 else {})


def test_where_the_pods_cgroup_reports_nothing_nri_does():
    node = FakeNode()
    pod = node.pod("p", kube="Guaranteed", reported=Resources(memory_limit=MIB), memory_limit=2 * MIB)
    node.kernel.missing = {"memory.max"}
    lsr = {"lsrClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}
    node.set_policy(resource_qos_config={"clusterStrategy": lsr})
    node.run_pass()
    assert node.kernel.cgroups["kubepods/p"].min == MIB // 2
    assert pod.resources.memory_limit == MIB


@pytest.mark.parametrize("parent", ["/kubepods/../../etc/pod", "", "/", "/kubepods/./pod"])
def test_a_pod_with_an_odd_cgroup_parent_costs_itself_and_is_named(parent):
    node = FakeNode()
    node.pod("odd", parent=parent)
    node.container(node.pod("good"), cpu_quota=80_000)
    node.set_policy(**HALVED)
    for _ in range(2):
        assert statuses(node.run_pass()) <= {Status.WRITTEN, Status.SAME}
    assert quotas(node) == {"good-main": 40_000}
    [warning] = node.warnings()
    assert (warning["of"], warning["directory"]) == ("shop/odd", "odd")
    assert "pod.linux.cgroup_parent: expected" in warning["error"]
    assert repr(parent) in warning["error"]


def test_a_note_of_another_version_is_ignored():
    written = {"p": {"cpu.sparkle": 5, "cpu.quota": None}, "p-main": {"cpu.sparkle": 5, "io.max": "x"}}
    node = FakeNode(written=written)
    node.container(node.pod("p"))
    assert node.run_pass() == []
    assert node.warnings() == []
    assert node.ledger.all_originals() == written


def test_while_nothing_happens_a_sweep_looks_at_files_and_decides_nothing_again():
    counting = Counting()
    fixed: dict[str, Any] = {}
    node = FakeNode(
        hooks=[*load_hooks(), counting],
        world=lambda world: world._replace(snapshot=fixed.setdefault("it", world.snapshot)),
    )
    node.set_policy(**HALVED)
    directory = node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    for _ in range(3):  # the first ones write, and note what was there
        node.run_pass("sweep")
    asked = counting.asked
    for trigger in ("sweep", "change"):
        assert node.run_pass(trigger) == []
    fixed["it"] = fixed["it"]._replace(policy=msgspec.structs.replace(fixed["it"].policy, revision="other", source="x"))
    assert node.run_pass("change") == [], "an edit without effect, of a comment say"
    assert counting.asked == asked
    node.kernel.cgroups[directory].quota = 10_000
    node.run_pass("sweep")
    assert quotas(node)["p-main"] == 40_000
    node.container(node.ledger.pods()[0], "other", cpu_quota=80_000)
    asked = counting.asked
    node.run_pass("sweep")
    assert counting.asked == asked + 2, "a container came: all are decided again"
    fixed.clear()
    node.set_policy()
    node.run_pass("sweep")
    assert quotas(node)["p-main"] == 80_000, "another snapshot"


@pytest.mark.parametrize(("version", "early"), [(1, (80_000, 512)), (2, (40_000, 512))])
def test_on_v1_a_containers_files_wait_for_its_start_because_runc_may_be_making_its_cgroup(version, early):
    """runc reads CPU shares back, and refuses the container where somebody else has written them meanwhile."""
    node = FakeNode(version)
    pod = node.pod("p", cpu_quota=80_000)
    cgroup = node.kernel.cgroups[node.container(pod, cpu_quota=80_000)]
    (entry,) = node.ledger.containers_of(pod.id)
    entry.started = False
    node.set_policy(**HALVED)
    for trigger in ("change", "pod", "sweep"):
        node.run_pass(trigger)
        assert (cgroup.quota, cgroup.shares) == early
    assert node.ledger.started(entry), "a pass must follow"
    node.run_pass("pod")
    assert cgroup.quota == 40_000
    assert not node.reconciler.undone.counts


def test_a_container_that_has_what_is_decided_needs_no_pass_after_its_start_on_v1():
    node = FakeNode(1)
    node.set_policy(**HALVED)
    pod = node.pod("p", cpu_quota=80_000)
    node.container(pod, cpu_quota=80_000)
    (entry,) = node.ledger.containers_of(pod.id)
    entry.started = False
    node.run_pass()
    assert not node.ledger.started(entry)


def test_a_cpuset_does_not_wait_for_the_containers_start():
    """Whoever gets a CPU starts only when all others have left it, and one that is being made is among them."""
    node = FakeNode(1)
    node.set_policy(**HALVED)
    pod = node.pod("p", "LSR", kube="Guaranteed", annotations=pinned_to("2-3"), cpu_quota=80_000)
    cgroup = node.kernel.cgroups[node.container(pod, cpu_quota=80_000)]
    (entry,) = node.ledger.containers_of(pod.id)
    entry.started = False
    node.report_again(pod, pinned_to("4"))
    node.run_pass("pod")
    assert cgroup.cpus == {4}
