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
def test_what_a_sweep_does_before_the_pass_that_a_change_waits_for_is_no_drift(version):
    node = busy_node(version)
    node.set_policy(**HALVED)
    node.run_pass("change")
    directory = "kubepods/burstable/plain/plain-main"
    node.kernel.cgroups[directory].quota = 12_345
    node.set_policy(**HALVED, **ls_memory(throttlingPercent=80))
    node.run_pass("sweep")
    assert quotas(node)["plain-main"] == 25_000
    assert not node.reconciler.undone.counts
    node.kernel.cgroups[directory].quota = 12_345
    node.run_pass("sweep")
    assert undone(node) == {"cpu.quota": 1}
