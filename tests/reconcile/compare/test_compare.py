"""What another policy would change, against what the reconciler then really changes; and what no running container can follow in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.spelling import form
from koordnri.model import KubeQoS, NodeState, Resources
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.fields import UNLIMITED
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import Comparison
from koordnri.reconcile.compare.running import Above, Files, Running
from tests.host.fake_kernel import Cgroup
from tests.reconcile.compare.one_comparison import (
    BE_DISK,
    BOTH,
    CLASS_DIRECTORIES,
    COST,
    LS_MEMORY,
    Third,
    classes,
    compared,
    hooks,
    moves,
    reported,
    running,
    third,
)
from tests.reconcile.fake_node import DISKS, HALVED, busy_node
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

POLICIES: dict[str, dict[str, Any]] = {
    "none": {},
    "halved": HALVED,
    "a third": {"cpu_normalization_config": {"enable": True, "defaultRatio": 3.0}},
    "memory": classes(lsClass=LS_MEMORY),
    "disks": classes(beClass={"blkioQOS": {"enable": True, "blocks": [BE_DISK]}}),
    "other name of the disk": classes(
        beClass={"blkioQOS": {"enable": True, "blocks": [{**BE_DISK, "name": "/dev/sda1"}]}}
    ),
    "idle": classes(beClass={"cpuQOS": {"enable": True, "schedIdle": 1}}),
    "cost of the disks": classes(cgroupRoot={"blkioQOS": {"enable": True, "blocks": [COST]}}),
    "no quotas": hooks(cfs_quota={"mode": "off"}),
    "quotas observed": HALVED | hooks(cfs_quota={"mode": "observe"}),
    "no cpusets": hooks(cpuset={"mode": "off"}),
    "shop left alone": HALVED | {"koordnri_config": {"clusterStrategy": {"namespacesLeftAlone": ["shop"]}}},
}


# -- what follows -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("new", POLICIES)
@pytest.mark.parametrize("old", POLICIES)
def test_exactly_what_is_reported_is_then_written(version, old, new):
    node = busy_node(version, POLICIES[old])
    node.kernel.cgroups[""] = Cgroup()
    node.run_pass()
    found = reported(node, **POLICIES[new])

    node.set_policy(**POLICIES[new])
    outcomes = node.run_pass()

    assert {o.status for o in outcomes} <= {Status.SAME, Status.WRITTEN}
    written = {
        (o.change.directory.rpartition("/")[2], o.change.field.named(o.change.key)): o
        for o in outcomes
        if o.status is Status.WRITTEN
    }
    expected = {}
    for d in found.differences:
        if d.route == "write":
            family, _, disk = d.field.partition("[")
            name = f"{family}[{DISKS[disk[:-1]]}]" if disk else family
            place = CLASS_DIRECTORIES[d.kube_class] if d.kube_class else d.pod
            expected[f"{place}-{d.container}" if d.container else place, name] = d
    assert written.keys() == expected.keys()
    for key, difference in expected.items():
        same = form(written[key].change.field, version).same
        assert same(difference.after, written[key].after), difference
        before = difference.before
        if (before, difference.field) == (None, "cpu.shares"):
            assert written[key].before in (0, 3), "as an idle cgroup has them"
            continue
        assert before == written[key].before or same(before, written[key].before), difference
    assert found.remarks == []


@BOTH
def test_what_a_release_gives_back_is_a_comparison_too(version):
    node = busy_node(version, HALVED)
    node.run_pass()
    pinned = next(one for one in running(node) if one.pod.name == "pinned")
    released = node.snapshot._replace(node=replace(node.snapshot.node, released=frozenset({pinned.pod.id})))
    found = compare(Chain(load_hooks()), running(node), node.snapshot, released)
    assert moves(found, "write") == {
        ("pinned", "", "cpu.quota"): (UNLIMITED, 200_000),
        ("pinned", "main", "cpu.quota"): (UNLIMITED, 200_000),
        ("pinned", "main", "cpu.cpus"): ("2,3", "0-7"),
        ("pinned", "", "cpu.cpus"): ("2,3", "0,1,2,3,4,5,6,7" if version == 1 else "0-7"),
    }
    why = "back to the baseline: released by `koordnri release`, until the daemon restarts"
    assert {d.reason for d in found.differences} == {why, f"sandbox: {why}"}


# -- what cannot follow -----------------------------------------------------------------------------------------------


# -- Exclusive CPUs ---------------------------------------------------------------------------------------------------


# -- resctrl groups ---------------------------------------------------------------------------------------------------


# -- the classes ------------------------------------------------------------------------------------------------------


def of_classes(found: Comparison) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {(d.kube_class, d.field): (d.before, d.after) for d in found.differences if d.kube_class}


def test_the_root_of_all_pods_follows_every_pod_and_the_other_classes_their_own():
    places = ("p", "burstable/a"), ("q", "burstable/b"), ("r", "besteffort/c"), ("s", "d")
    pods = [pod_of(parent=f"/kubepods/{parent}", name=id) for id, parent in places]
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(), third(of_class="count"))]
    found = compare(Chain([Third()]), [Running(pod) for pod in pods], *snapshots)
    assert of_classes(found) == {
        ("Guaranteed", "memory.min"): (0, 4 * 4096),
        ("Burstable", "memory.min"): (0, 2 * 4096),
        ("BestEffort", "memory.min"): (0, 4096),
    }
    assert {(d.route, d.recorded, d.reason) for d in found.differences} == {("write", False, "a page for each pod")}
    assert (found.pods, found.containers) == (4, 0)


def test_a_pod_that_is_released_is_not_in_its_class_any_more():
    pods = [pod_of(name=id) for id in "pq"]
    policy = policy_of(**third(of_class="count"))
    snapshots = [Snapshot.of(policy, NodeState(released=frozenset(released))) for released in ((), "p")]
    found = compare(Chain([Third()]), [Running(pod) for pod in pods], *snapshots)
    assert of_classes(found) == {
        ("Guaranteed", "memory.min"): (2 * 4096, 4096),
        ("Burstable", "memory.min"): (2 * 4096, 4096),
    }


def test_a_class_goes_back_to_what_its_files_had_where_that_is_known():
    reported = {"memory.min": 4096, "cpu.quota": 100_000, "cpu.shares": 512}
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(of_class=reported), third())]
    cgroup = ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable")
    known = Above(cgroup, Resources(cpu_quota=200_000), Files({"memory.min": 8192}))
    found = of_classes(compare(Chain([Third()]), [], *snapshots, [known]))
    assert found["Burstable", "memory.min"] == (4096, 8192)
    assert found["Burstable", "cpu.quota"] == (100_000, 200_000)
    assert found["BestEffort", "memory.min"] == (4096, 0)
    assert found["BestEffort", "cpu.quota"] == (100_000, UNLIMITED)
    # kubelet's own, by what the node has to give: nobody but the file can show it.
    assert found["BestEffort", "cpu.shares"] == (512, None)


def test_a_hook_that_fails_for_a_class_leaves_it_as_it_is_and_is_reported():
    found = compared(third(of_class={"memory.min": 4096}), third(of_class="fail"))
    assert found.differences == []
    assert [r.as_json() for r in found.remarks if r.kube_class == "Burstable"] == [
        {
            "namespace": "",
            "pod": "",
            "container": None,
            "class": "Burstable",
            "hook": "third",
            "message": "RuntimeError: no idea",
        }
    ]
    assert len(found.remarks) == 3


# -- hooks that cannot, or may not ------------------------------------------------------------------------------------


# -- shapes -----------------------------------------------------------------------------------------------------------
