"""One pass: one goal per file, counted and timed."""

from __future__ import annotations

import json

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model.annotations import BLKIO_QOS_KEY
from tests.reconcile.fake_node import HALVED, FakeNode, be_disks, busy_node, ls_memory, statuses, undone

BOTH = pytest.mark.parametrize("version", [1, 2])


@BOTH
def test_where_nothing_changed_nothing_is_written(version):
    node = busy_node(version)
    node.set_policy(**HALVED, **ls_memory(minLimitPercent=50, throttlingPercent=80))
    node.run_pass()
    node.kernel.log.clear()
    saves, ledger = node.saves, node.ledger.all_originals()
    for trigger, found in (("change", set()), ("sweep", set()), ("asked", {Status.SAME}), ("pod", set())):
        outcomes = node.run_pass(trigger)
        assert statuses(outcomes) == found, "what is right is reported only to who asks"
    assert node.kernel.log == []
    assert (node.saves, node.ledger.all_originals()) == (saves, ledger)
    assert not node.reconciler.undone.counts


def test_limits_of_several_disks_are_written_by_their_numbers_and_taken_back():
    node = FakeNode()
    node.pod("p", kube="BestEffort")
    c = node.kernel.cgroups["kubepods/besteffort"]
    node.set_policy(**be_disks("/dev/sda", "/dev/sdb", weight=20))
    node.run_pass()
    assert c.io_max == {"8:0": {"rbps": 1024}, "8:16": {"rbps": 1024}}
    assert c.io_weight == {"default": 100, "8:0": 20, "8:16": 20}
    node.set_policy(**be_disks("/dev/sdb", bps=7))
    node.run_pass()
    assert c.io_max == {"8:0": {}, "8:16": {"rbps": 7}}
    assert c.io_weight == {"default": 100}
    node.set_policy()
    node.run_pass()
    assert c.io_max == {"8:0": {}, "8:16": {}}
    assert node.ledger.all_originals() == {}
    assert node.warnings() == []


def test_the_second_disk_of_a_container_created_so_is_written_and_is_no_drift():
    """NRI carries one disk only (runc 4182): the second is the reconciler's."""
    node = FakeNode()
    blocks = {"blocks": [{"name": disk, "ioCfg": {"readBPS": 1024}} for disk in ("/dev/sda", "/dev/sdb")]}
    pod = node.pod("p", "LS", annotations={BLKIO_QOS_KEY: json.dumps(blocks)})
    c = node.kernel.cgroups[node.container(pod)]
    assert c.io_max == {"8:0": {"rbps": 1024}}, "the runtime was sent one"
    node.run_pass("sweep")
    assert c.io_max == {"8:0": {"rbps": 1024}, "8:16": {"rbps": 1024}}
    assert not node.reconciler.undone.counts
    c.io_max.clear()
    node.run_pass("sweep")
    assert undone(node) == {"io.max": 2}


def test_a_disk_by_another_name_keeps_its_limit():
    """/dev/sda1 is on the same disk: undoing the one name must not undo the other."""
    node = FakeNode()
    node.set_policy(**be_disks("/dev/sda"))
    node.pod("p", kube="BestEffort")
    c = node.kernel.cgroups["kubepods/besteffort"]
    node.run_pass()
    node.set_policy(**be_disks("/dev/sda1", bps=7))
    node.run_pass()
    assert c.io_max == {"8:0": {"rbps": 7}}
    node.run_pass()
    assert c.io_max == {"8:0": {"rbps": 7}}
    node.set_policy()
    node.run_pass()
    assert c.io_max == {"8:0": {}}


def test_passes_are_counted_and_timed():
    now = iter(range(100, 200, 7))
    node = FakeNode(monotonic=lambda: float(next(now)))
    node.pod("p")
    for trigger in ("change", "sweep", "sweep"):
        node.run_pass(trigger)
    assert node.reconciler.stats.passes == {"change": 1, "sweep": 2}
    assert node.reconciler.stats.last_pass_s == 7.0


def test_the_rest_after_a_pass_goes_by_its_cpu_time_not_its_duration():
    wall_s, cpu_s = iter(range(0, 10_000, 60)), iter([1.0, 1.25])
    node = FakeNode(monotonic=lambda: float(next(wall_s)), cpu_s=lambda: next(cpu_s))
    node.pod("p")
    node.run_pass("change")
    stats = node.reconciler.stats
    assert (stats.last_pass_s >= 60, stats.last_pass_cpu_s) == (True, 0.25), (
        "beside load, a pass takes much longer than its CPU time"
    )
