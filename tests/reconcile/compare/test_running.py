"""What runs, with what its files hold."""

from __future__ import annotations

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.host.cgroup.change import Reading
from koordnri.model import Field, KubeQoS, NodeState, fields
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.running import Above, Files, Running
from tests.reconcile.compare.one_comparison import Third, classes, third
from tests.reconcile.fake_node import DISKS
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of


def test_a_pod_goes_back_to_what_its_files_had_where_that_is_known():
    pod = pod_of(name="p")
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(pod={"memory.min": 4096}), third())]
    for had, after in ({"memory.min": 8192}, 8192), ({}, 0):
        found = compare(Chain([Third()]), [Running(pod, (), Files(had))], *snapshots)
        assert [(d.before, d.after) for d in found.differences] == [(4096, after)]


@pytest.mark.parametrize(
    ("field", "decided", "holds", "reported"),
    [
        ("memory.min", 8192, 4096, (4096, 8192)),
        ("memory.min", 4100, 4096, None),  # the kernel counts pages
        ("cpu.shares", 1024, 999, None),  # the same weight
        ("cpu.shares", 2048, 999, (999, 2048)),
    ],
)
def test_the_files_of_a_pod_or_class_show_what_it_has_where_nothing_of_ours_is(field, decided, holds, reported):
    pod = pod_of(name="p")
    files = Files(read=lambda field, disk: Reading(holds))
    own, above = Running(pod, files=files), Above(ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable"), files=files)
    set_ = third(pod={field: decided}, of_class={field: decided})
    for old, new, moved in ({}, set_, reported), (set_, {}, reported and reported[::-1]):
        snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (old or third(), new or third())]
        found = compare(Chain([Third()]), [own], *snapshots, [above]).differences
        moves = [(d.before, d.after) for d in found if d.kube_class in ("", "Burstable")]
        assert moves == ([] if moved is None else [moved, moved])


def test_what_a_file_holds_now_is_not_asked_where_it_is_known_what_it_held_before_us():
    pod = pod_of(name="p")
    one = Running(pod, (), Files({"memory.min": 8192}, lambda field, disk: Reading(4096)))
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(pod={"memory.min": 4096}), third())]
    (difference,) = compare(Chain([Third()]), [one], *snapshots).differences
    assert (difference.before, difference.after) == (4096, 8192)


def test_of_disks_the_line_of_that_disk_is_asked_for():
    asked = []

    def read(field: Field, disk: str) -> Reading:
        asked.append((field, disk))
        return Reading("rbps=4096 wbps=max riops=max wiops=max")

    be = pod_of("BE", "/kubepods/besteffort/p", name="p")
    state = NodeState(block_devices=DISKS)
    block = {"name": "/dev/sdb", "ioCfg": {"readBPS": 1024}}
    policies = {}, classes(beClass={"blkioQOS": {"enable": True, "blocks": [block]}})
    snapshots = [Snapshot.of(policy_of(**p), state) for p in policies]
    above = Above(ClassCgroup(KubeQoS.BESTEFFORT, "kubepods/besteffort"), files=Files(read=read))
    found = compare(Chain(load_hooks()), [Running(be)], *snapshots, [above])
    (limit,) = [d for d in found.differences if d.field == "io.max[/dev/sdb]"]
    assert limit.before == "rbps=4096 wbps=max riops=max wiops=max"
    assert asked == [(fields.IO_MAX, "8:16")]
