"""The outcome of each file: what counts as drift."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Status
from tests.reconcile.fake_node import HALVED, busy_node, ls_memory, statuses, undone
from tests.reconcile.fake_node import quotas_of as quotas

BOTH = pytest.mark.parametrize("version", [1, 2])


@BOTH
def test_what_somebody_changed_is_healed_by_the_sweep_and_counted(version):
    node = busy_node(version)
    node.set_policy(**HALVED)
    node.run_pass()
    before = node.files()
    for path in ("kubepods/burstable/plain/plain-main", "kubepods/pinned", "kubepods/besteffort/batch/batch-main"):
        node.kernel.cgroups[path].quota = 10_000
    assert statuses(node.run_pass("sweep")) == {Status.SAME, Status.WRITTEN}
    assert node.files() == before
    assert undone(node) == {"cpu.quota": 3}
    node.run_pass("sweep")
    assert undone(node) == {"cpu.quota": 3}


def test_what_a_sweep_does_first_of_all_is_no_drift():
    node = busy_node(2)
    node.set_policy(**HALVED)
    node.run_pass("sweep")
    assert node.reconciler.stats.writes["cpu.quota", "written"] > 5
    assert not node.reconciler.undone.counts


@BOTH
def test_a_value_that_was_sent_and_not_read_is_late_under_a_policy_that_no_full_pass_has_served(version):
    node = busy_node(version)
    node.set_policy(**HALVED)
    node.run_pass("change")
    directory = node.container(node.pod("new", cpu_quota=80_000), cpu_quota=80_000)
    node.kernel.cgroups[directory].quota = 12_345
    node.set_policy(**HALVED, **ls_memory(throttlingPercent=80))
    node.run_pass("sweep")
    assert quotas(node)["new-main"] == 40_000
    assert not node.reconciler.undone.counts
    node.kernel.cgroups[directory].quota = 12_345
    node.run_pass("sweep")
    assert undone(node) == {"cpu.quota": 1}


@pytest.mark.parametrize("trigger", ["pod", "change", "asked", "drift", "sweep"])
@pytest.mark.parametrize(
    ("directory", "foreign"), [("kubepods/burstable/plain/plain-main", 12_345), ("kubepods/burstable/plain", 75_000)]
)
def test_what_was_right_when_it_was_read_is_drift_whatever_pass_finds_it(trigger, directory, foreign):
    node = busy_node(2)
    node.set_policy(**HALVED)
    node.run_pass()
    before = node.files()
    node.kernel.cgroups[directory].quota = foreign
    # Under a changed policy, too, as long as it decides the same here.
    node.set_policy(**HALVED, **ls_memory(throttlingPercent=80))
    node.run_pass(trigger)
    assert node.files()[f"{directory}/cpu.max"] == before[f"{directory}/cpu.max"]
    assert undone(node) == {"cpu.quota": 1}


@pytest.mark.parametrize("pushed", ["sending", "recorded"])
def test_what_the_pass_after_a_push_undoes_is_drift(pushed):
    """The files are read again, because the runtime has written them: a foreign value found then is no less foreign."""
    node = busy_node(2)
    node.set_policy(**HALVED)
    node.run_pass()
    container, cgroup = "plain-main", node.kernel.cgroups["kubepods/burstable/plain/plain-main"]
    getattr(node.ledger, pushed)(container, {"cpu.quota": 25_000})
    cgroup.quota = 12_345
    node.run_pass("pod")
    assert cgroup.quota == 25_000
    assert undone(node) == {"cpu.quota": 1}


def test_what_another_policy_or_a_new_start_of_the_container_changes_is_no_drift():
    node = busy_node(2)
    node.set_policy(**HALVED)
    node.run_pass()
    node.ledger.recorded("plain-main", {"cpu.quota": 25_000})
    node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": 4.0})
    node.run_pass("pod")
    assert quotas(node)["plain-main"] == 12_500
    node.ledger.recorded("plain-main", {"cpu.quota": 12_500})
    entry = node.ledger.container("plain-main")
    assert entry is not None
    node.ledger.started(entry)
    node.kernel.cgroups["kubepods/burstable/plain/plain-main"].quota = 25_000  # as its creation had it
    node.run_pass("pod")
    assert quotas(node)["plain-main"] == 12_500
    assert not node.reconciler.undone.counts
