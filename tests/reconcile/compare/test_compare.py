"""What another policy would change, against what the reconciler then really changes; and what no running container can follow in."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import create
from koordnri.hook import ClassContext, ContainerContext, Hook, PodContext
from koordnri.host.cgroup.change import Reading, Status
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Field, KubeQoS, NodeState, Pod, Resources, fields
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.fields import UNLIMITED, Mount
from koordnri.model.node import Resctrl
from koordnri.model.schemata import MemoryBandwidth
from koordnri.model.topology import Topology
from koordnri.reconcile.classes import classes_above
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import Comparison, Released
from koordnri.reconcile.compare.running import Above, Files, Running
from tests.host.fake_kernel import ROOT, Cgroup
from tests.reconcile.fake_node import DISKS, HALVED, FakeNode, busy_node, pinned_to, sandbox_of
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

BOTH = pytest.mark.parametrize("version", [1, 2])
CLASS_DIRECTORIES = {"Guaranteed": "kubepods", "Burstable": "burstable", "BestEffort": "besteffort", "root": "."}
BE_DISK = {"name": "/dev/sda", "ioCfg": {"readBPS": 1024, "ioWeightPercent": 30}}
COST = {"name": "/dev/sdb", "ioCfg": {"enableUserModel": True, "modelReadBPS": 1 << 30}}
LS_MEMORY = {"memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 80, "throttlingPercent": 90}}


def classes(**strategies: Any) -> dict[str, Any]:
    """A policy with these classes."""
    return {"resource_qos_config": {"clusterStrategy": strategies}}


def hooks(**options: Any) -> dict[str, Any]:
    """A policy with these options of hooks."""
    return {"koordnri_config": {"clusterStrategy": {"hooks": options}}}


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


def running(node: FakeNode) -> list[Running]:
    """What runs on the node, as its daemon knows it."""
    found = []
    for pod in node.ledger.pods():
        had = node.ledger.originals(pod.id)
        cgroup = node.kernel.cgroups[pod.cgroup_parent.strip("/")]
        limit = UNLIMITED if cgroup.limit > 1 << 60 else cgroup.limit
        set_ = Resources(
            cpu_quota=had.get("cpu.quota", UNLIMITED if cgroup.quota is None else cgroup.quota),
            memory_limit=had.get("memory.limit", limit),
        )
        containers = [Container(e.id, e.name, pod.id, e.baseline) for e in node.ledger.containers_of(pod.id)]
        found.append(Running(pod.with_resources(set_), containers, Files(had, partial(sandbox_file, node, pod))))
    return found


def sandbox_file(node: FakeNode, pod: Pod, field: Field, disk: str) -> Reading:
    """What a pod's sandbox has of cpu.cpus; nothing else is read."""
    if field is not fields.CPU_CPUS:
        return Reading(None, Status.GONE)
    return Writer(ROOT, node.kernel.version, node.kernel).read(sandbox_of(pod), field)


def above(node: FakeNode) -> list[Above]:
    """What its daemon knows of the classes."""
    cgroups = [one.cgroup for one in classes_above(node.ledger.pods(), node.state)]
    return [Above(cgroup, files=Files(node.ledger.originals(cgroup.id))) for cgroup in cgroups]


def told(node: FakeNode, **new: Any) -> Comparison:
    """The policy in force against this one."""
    new_snapshot = Snapshot.of(policy_of(**new), node.state)
    return compare(Chain(load_hooks()), running(node), node.snapshot, new_snapshot, above(node))


def one(
    *containers: Container, pod: Pod | None = None, state: NodeState, old: Any, new: Any, **options: Any
) -> Comparison:
    """One pod on a node that is only described."""
    pod = pod or pod_of(name="p")
    chain = Chain(options.get("hooks") or load_hooks())
    snapshots = (Snapshot.of(policy_of(**policy), state) for policy in (old, new))
    return compare(chain, [Running(pod, containers)], *snapshots)


def moves(found: Comparison, route: str) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    return {(d.pod, d.container, d.field): (d.before, d.after) for d in found.differences if d.route == route}


# -- what follows -----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("new", POLICIES)
@pytest.mark.parametrize("old", POLICIES)
def test_exactly_what_is_told_is_then_written(version, old, new):
    node = busy_node(version, POLICIES[old])
    node.kernel.cgroups[""] = Cgroup()
    node.run_pass()
    found = told(node, **POLICIES[new])

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


class Third(Hook):
    """A third party's hook that does as its options say: field → value; `fail` raises."""

    name = "third"
    order = 5
    owns = (
        fields.ENV,
        fields.MOUNT,
        fields.CPU_BURST,
        fields.CPU_MEMS,
        fields.CPU_QUOTA,
        fields.CPU_SHARES,
        fields.MEMORY_MIN,
    )

    def decide(self, ctx: ContainerContext) -> None:
        self._do(ctx, ctx.policy.hook_options(self.name).get("container", {}))

    def decide_pod(self, ctx: PodContext) -> None:
        self._do(ctx, ctx.policy.hook_options(self.name).get("pod", {}))

    def decide_class(self, ctx: ClassContext) -> None:
        said = ctx.policy.hook_options(self.name).get("class", {})
        if said == "count":
            ctx.set(fields.MEMORY_MIN, 4096 * len(ctx.pods), "a page for each pod")
        else:
            self._do(ctx, said)

    def _do(self, ctx: ContainerContext | PodContext | ClassContext, said: Any) -> None:
        if said == "fail":
            raise RuntimeError("no idea")
        for name, value in said.items():
            field, key = next(f for f in self.owns if f.name == name.partition("[")[0]), name.partition("[")[2][:-1]
            ctx.set(field, Mount(**value) if isinstance(value, dict) else value, "as told", key)


def third(container: Any = (), pod: Any = (), of_class: Any = (), **more: Any) -> dict[str, Any]:
    """A policy with these options of the hook `third`."""
    options = {"container": container or {}, "pod": pod or {}, "class": of_class or {}}
    return hooks(third={"options": options, **more})


def container(**asked: Any) -> Container:
    return Container("c", "main", "p", Resources(**asked))


def compared(old: Any, new: Any, *, version: int = 2, **asked: Any) -> Comparison:
    """One container under two policies of the hook `third`, on a node that is only described."""
    return one(container(**asked), state=NodeState(cgroup_version=version), old=old, new=new, hooks=[Third()])


def test_a_running_container_changes_its_resctrl_group():
    state = NodeState(resctrl=Resctrl("intel", 0xFF, 4, (0,), frozenset({"BE", "LS"})))
    be = pod_of(parent="/kubepods/besteffort/p", name="p")
    on, off = classes(beClass={"resctrlQOS": {"enable": True}}), {}

    joins, group = one(container(), pod=be, state=state, old=off, new=on).differences
    assert group.group == "BE"
    assert (joins.field, joins.before, joins.after, joins.route, joins.recorded) == (
        "rdt.closid", None, "BE", "resctrl", False
    )  # fmt: skip
    leaves, group = one(container(), pod=be, state=state, old=on, new=off).differences
    assert group.group == "BE"
    assert (leaves.before, leaves.after, leaves.route) == ("BE", None, "resctrl")
    assert leaves.reason == "back to the baseline: resource-qos-config.beClass.resctrlQOS is not enabled"


def test_every_way_in_which_the_environment_of_a_container_may_differ_is_told_with_its_name():
    found = compared(
        third({"env[A]": "1", "env[B]": "1", "env[C]": "1"}), third({"env[B]": "1", "env[C]": "2", "env[D]": "1"})
    )
    assert moves(found, "restart") == {
        ("p", "main", "env[A]"): ("1", None),
        ("p", "main", "env[C]"): ("1", "2"),
        ("p", "main", "env[D]"): (None, "1"),
    }
    assert len(found.differences) == 3


def test_what_nobody_can_unset_stays_until_a_restart():
    """kubelet asks for no memory nodes, and what the runtime sets then is not known here."""
    found = compared(third({"cpu.mems": "0"}), third())
    assert moves(found, "restart") == {("p", "main", "cpu.mems"): ("0", None)}
    assert not found.differences[0].recorded


def test_lifted_cpus_are_written_even_where_a_described_node_does_not_tell_which_come_instead():
    pod = pod_of("LSR", "/kubepods/p", pinned_to("2"), name="p")
    for topology, all_cpus in (None, None), (Topology.regular(1, 1, 4, 1), "0-3"):
        found = one(container(), pod=pod, state=NodeState(topology=topology), old={}, new=hooks(cpuset={"mode": "off"}))
        assert moves(found, "write")["p", "main", "cpu.cpus"] == ("2", all_cpus)


def test_a_container_that_followed_its_parents_cpus_and_gets_all_of_them_has_changed():
    """It does not follow any more; on v1 it never did."""
    state = NodeState(topology=Topology.regular(1, 1, 4, 1))
    pod = pod_of("LSR", "/kubepods/p", pinned_to("0-3"), name="p")
    off = hooks(cpuset={"mode": "off"})
    found = one(container(), pod=pod, state=state, old=off, new={})
    assert moves(found, "write")["p", "main", "cpu.cpus"] == ("", "0-3")


def test_a_runtime_records_what_it_can_carry_and_nothing_of_a_pod():
    found = compared(third(), third({"cpu.quota": 70_000}, {"cpu.quota": 80_000}), cpu_quota=50_000)
    assert [(d.container, d.before, d.after, d.route, d.recorded, d.reason) for d in found.differences] == [
        ("", UNLIMITED, 80_000, "write", False, "as told"),
        ("main", 50_000, 70_000, "write", True, "as told"),
    ]


def test_a_pod_goes_back_to_what_its_files_had_where_that_is_known():
    pod = pod_of(name="p")
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(pod={"memory.min": 4096}), third())]
    for had, after in ({"memory.min": 8192}, 8192), ({}, 0):
        found = compare(Chain([Third()]), [Running(pod, (), Files(had))], *snapshots)
        assert [(d.before, d.after) for d in found.differences] == [(4096, after)]


@pytest.mark.parametrize(
    ("field", "decided", "holds", "told"),
    [
        ("memory.min", 8192, 4096, (4096, 8192)),
        ("memory.min", 4100, 4096, None),  # the kernel counts pages
        ("cpu.shares", 1024, 999, None),  # the same weight
        ("cpu.shares", 2048, 999, (999, 2048)),
    ],
)
def test_the_files_of_a_pod_or_class_tell_what_it_has_where_nothing_of_ours_is(field, decided, holds, told):
    pod = pod_of(name="p")
    files = Files(read=lambda field, disk: Reading(holds))
    own, above = Running(pod, files=files), Above(ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable"), files=files)
    set_ = third(pod={field: decided}, of_class={field: decided})
    for old, new, moved in ({}, set_, told), (set_, {}, told and told[::-1]):
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


# -- Exclusive CPUs ---------------------------------------------------------------------------------------------------

EIGHT = NodeState(topology=Topology.regular(1, 1, 8, 1))
GIVES_NONE = hooks(cpuset={"allocate": False})


def lives(name: str, qos: str = "LSR", cpus: int = 2) -> Running:
    pod = pod_of(qos, f"/kubepods/{name}", name=name)
    asked = Resources(cpu_shares=1024 * cpus, cpu_quota=100_000 * cpus, cpu_period=100_000)
    return Running(pod.with_resources(asked), [Container(name, "main", name, asked)])


def with_exclusive_cpus(*running: Running, old: Any, new: Any) -> Comparison:
    """All of them were created under the old policy."""
    snapshots = [Snapshot.of(policy_of(**policy), EIGHT) for policy in (old, new)]
    given = Allocator()
    create([(one.pod, one.containers) for one in running], snapshots[0], given)
    before = given.held
    found = compare(Chain(load_hooks()), running, *snapshots, given=given)
    assert given.held is before
    return found


def test_the_same_policy_changes_nothing_of_who_has_what():
    running = [lives("a"), lives("s", "LS"), lives("b")]
    assert with_exclusive_cpus(*running, old={}, new={}).differences == []
    assert with_exclusive_cpus(*running, old=GIVES_NONE, new=GIVES_NONE).differences == []


def test_what_runs_keeps_its_cpus_when_the_policy_gives_none_any_more():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old={}, new=GIVES_NONE)
    assert moves(found, "write") == {}
    assert moves(found, "restart") == {
        ("a", "", "cpu.quota"): (UNLIMITED, 200_000),
        ("a", "main", "cpu.cpus"): ("0-1", "0-7"),
        ("a", "main", "cpu.quota"): (UNLIMITED, 200_000),
    }
    assert all(d.reason.startswith("once its pod is created again: ") for d in found.differences)
    assert not any(d.recorded for d in found.differences)


def test_what_runs_and_lacks_cpus_of_its_own_is_promoted_when_the_policy_gives_some():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old=GIVES_NONE, new={})
    assert moves(found, "restart") == {}
    assert moves(found, "write")["a", "main", "cpu.cpus"] == ("", "0-1")
    assert moves(found, "write")["a", "main", "cpu.quota"] == (200_000, UNLIMITED)
    assert moves(found, "write")["s", "main", "cpu.cpus"] == ("", "2-7")


def test_or_waits_for_its_pod_to_be_recreated_pods_where_nobody_is_promoted():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old=GIVES_NONE, new=hooks(cpuset={"promote": False}))
    assert moves(found, "write") == {}
    assert moves(found, "restart")["a", "main", "cpu.cpus"] == ("0-7", "0-1")
    assert moves(found, "restart")["a", "main", "cpu.quota"] == (200_000, UNLIMITED)
    assert {d.pod for d in found.differences} == {"a"}


def test_when_cpus_are_reserved_who_shares_leaves_them_at_once_and_who_has_them_alone_keeps_them():
    reserved = {"koordnri_config": {"clusterStrategy": {"reservedCPUs": "0-2"}}}
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old={}, new=reserved)
    assert moves(found, "write")["s", "main", "cpu.cpus"] == ("2-7", "3-7")
    assert moves(found, "restart") == {("a", "main", "cpu.cpus"): ("0-1", "3-4")}


def test_without_the_hook_its_cpus_are_taken_at_once_and_nothing_is_left_for_later():
    found = with_exclusive_cpus(lives("a"), old={}, new=hooks(cpuset={"mode": "off"}))
    assert moves(found, "write")["a", "main", "cpu.cpus"] == ("0-1", "0-7")
    assert ("a", "main", "cpu.cpus") not in moves(found, "restart")


def test_who_shares_for_want_of_cpus_is_nobody_to_tell_of_while_that_stays_so():
    reserved = {"koordnri_config": {"clusterStrategy": {"reservedCPUs": "0"}}}
    found = with_exclusive_cpus(lives("a", cpus=9), lives("b"), old={}, new=reserved)
    assert {(d.pod, d.route) for d in found.differences} == {("b", "restart")}
    assert found.remarks == []


def test_who_would_get_none_when_recreated_pods_is_told():
    reserved = {"clusterStrategy": {"reservedCPUs": "0-5"}}
    found = with_exclusive_cpus(lives("a", cpus=4), old={}, new={"koordnri_config": reserved})
    assert moves(found, "restart")["a", "main", "cpu.cpus"] == ("0-3", "6-7")
    (remark,) = found.remarks
    assert (remark.pod, remark.container, remark.hook) == ("a", "main", "cpuset")
    assert remark.message == (
        "once its pod is created again: shares CPUs, though it wants 4 exclusive CPUs: 2 of 8 are free (6-7), "
        "of which 1 stay shared (minSharedCPUs)"
    )
    reserved["clusterStrategy"]["hooks"] = {"cpuset": {"whenFull": "reject"}}
    found = with_exclusive_cpus(lives("a", cpus=4), old={}, new={"koordnri_config": reserved})
    assert moves(found, "restart") == {}
    assert [r.message for r in found.remarks] == [
        "could not be created again: koordnri: container main wants 4 exclusive CPUs: 2 of 8 are free (6-7), "
        "of which 1 stay shared (minSharedCPUs)"
    ]


# -- resctrl groups ---------------------------------------------------------------------------------------------------

CACHED = NodeState(resctrl=Resctrl("intel", 0xFF, 4, (0, 1), frozenset({"BE"}), bandwidth=MemoryBandwidth((0, 1))))


def of_groups(found: Comparison) -> dict[tuple[str, str, str], tuple[Any, Any]]:
    return {(d.pod, d.group, d.field): (d.before, d.after) for d in found.differences if d.group}


def be_limits(**asked: Any) -> dict[str, Any]:
    return classes(beClass={"resctrlQOS": {"enable": True, **asked}})


def test_what_a_class_is_to_have_of_caches_and_bandwidth_is_told_of_its_group():
    pod = pod_of(name="p")
    half, less = be_limits(catRangeEndPercent=50), be_limits(catRangeEndPercent=25, mbaPercent=50)
    found = one(pod=pod, state=CACHED, old=half, new=less)
    assert of_groups(found) == {
        ("", "BE", "schemata[L3]"): ("0=f;1=f", "0=3;1=3"),
        ("", "BE", "schemata[MB]"): ("0=100;1=100", "0=50;1=50"),
    }
    (bandwidth,) = [d.as_json() for d in found.differences if d.field == "schemata[MB]"]
    assert (bandwidth["group"], bandwidth["container"], bandwidth["class"], bandwidth["route"], bandwidth["reason"]) == (
        "BE", None, None, "resctrl", "resctrlQOS of BE"
    )  # fmt: skip
    gone = one(pod=pod, state=CACHED, old=less, new={})
    assert of_groups(gone)["", "BE", "schemata[MB]"] == ("0=50;1=50", None)
    assert {d.reason for d in gone.differences} == {"the group is not wanted any more"}


def test_a_pods_own_group_is_told_with_its_pod():
    kept = {"node.koordinator.sh/resctrl": json.dumps({"mb": {"schemata": {"percent": 20}}})}
    pod = pod_of(annotations=kept, name="p")
    found = one(pod=pod, state=CACHED, old=hooks(rdt={"mode": "off"}), new={})
    assert of_groups(found)["p", "koordlet-uid-p", "schemata[MB]"] == (None, "0=20;1=20")


@pytest.mark.parametrize("resctrl", [None, replace(CACHED.resctrl, read_only="no rights")])
def test_where_no_group_can_be_made_there_is_none_to_tell_of(resctrl):
    state = replace(CACHED, resctrl=resctrl)
    assert one(state=state, old={}, new=be_limits(mbaPercent=50)).differences == []


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
    told = {"memory.min": 4096, "cpu.quota": 100_000, "cpu.shares": 512}
    snapshots = [Snapshot.of(policy_of(**p), NodeState()) for p in (third(of_class=told), third())]
    cgroup = ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable")
    known = Above(cgroup, Resources(cpu_quota=200_000), Files({"memory.min": 8192}))
    found = of_classes(compare(Chain([Third()]), [], *snapshots, [known]))
    assert found["Burstable", "memory.min"] == (4096, 8192)
    assert found["Burstable", "cpu.quota"] == (100_000, 200_000)
    assert found["BestEffort", "memory.min"] == (4096, 0)
    assert found["BestEffort", "cpu.quota"] == (100_000, UNLIMITED)
    # kubelet's own, by what the node has to give: nobody but the file can tell.
    assert found["BestEffort", "cpu.shares"] == (512, None)


def test_a_hook_that_fails_for_a_class_leaves_it_as_it_is_and_is_told():
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


def test_a_hook_that_fails_changes_nothing_and_is_told():
    found = compared(third({"cpu.quota": 70_000, "env[A]": "1"}), third("fail", "fail"), cpu_quota=50_000)
    assert found.differences == []
    assert [(r.container, r.hook, r.message) for r in found.remarks] == [
        ("", "third", "RuntimeError: no idea"),
        ("main", "third", "RuntimeError: no idea"),
    ]


def test_what_a_failing_hook_left_is_not_known_and_what_comes_after_it_is():
    found = compared(third("fail"), third({"cpu.quota": 50_000}), cpu_quota=50_000)
    assert moves(found, "write") == {("p", "main", "cpu.quota"): (None, 50_000)}
    (remark,) = found.remarks
    assert remark.message == "under the old policy: RuntimeError: no idea; what it left there is not known"


def test_a_container_that_would_not_come_back_is_told():
    found = compared(third(), third("fail", failurePolicy="fail"))
    (refused,) = (r for r in found.remarks if not r.hook)
    assert refused.container == "main"
    assert refused.message.startswith("could not be created again: koordnri: hook third could not decide: ")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("off", "back to the baseline: switched off by the policy (koordnri-config.hooks.third.mode)"),
        ("observe", "back to the baseline: hook third is only observed"),
    ],
)
def test_a_hook_that_may_not_any_more_gives_its_fields_back_and_says_why(mode, reason):
    told = {"cpu.quota": 70_000}
    found = compared(third(told), third(told, mode=mode), cpu_quota=50_000)
    assert [(d.before, d.after, d.reason) for d in found.differences] == [(70_000, 50_000, reason)]


def test_a_hook_that_is_only_observed_changes_nothing():
    found = compared(third(), third({"cpu.quota": 70_000, "env[A]": "1"}, {"cpu.quota": 1}, mode="observe"))
    assert (found.differences, found.remarks) == ([], [])


# -- shapes -----------------------------------------------------------------------------------------------------------


def test_the_shape_in_json():
    mount = {"source": "/lib", "type": "bind", "options": ["ro"]}
    found = compared(third(), third({"mount[/lib]": mount, "cpu.quota": 70_000}, "fail"), cpu_quota=50_000)
    shape = json.loads(json.dumps(found.as_json()))
    assert shape == {
        "old": found.old,
        "new": found.new,
        "pods": 1,
        "containers": 1,
        "differences": [
            {
                "namespace": "shop",
                "pod": "p",
                "container": "main",
                "class": None,
                "group": None,
                "field": "cpu.quota",
                "unit": "µs",
                "before": 50_000,
                "after": 70_000,
                "route": "write",
                "recorded": True,
                "reason": "as told",
            },
            {
                "namespace": "shop",
                "pod": "p",
                "container": "main",
                "class": None,
                "group": None,
                "field": "mount[/lib]",
                "unit": "bind mount",
                "before": None,
                "after": mount,
                "route": "restart",
                "recorded": False,
                "reason": "as told",
            },
        ],
        "remarks": [
            {
                "namespace": "shop",
                "pod": "p",
                "container": None,
                "class": None,
                "hook": "third",
                "message": "RuntimeError: no idea",
            }
        ],
        "notes": [],
    }
    assert found.old != found.new


def test_the_shape_of_what_was_released():
    released = Released("shop", "p", "", "memory.min", 4096, 0, "written")
    assert released.as_json() == {
        "namespace": "shop",
        "pod": "p",
        "container": None,
        "field": "memory.min",
        "before": 4096,
        "after": 0,
        "status": "written",
        "error": "",
        "class": None,
    }


def test_a_row_of_a_class_has_neither_pod_nor_container():
    found = compared(third(), third(of_class={"memory.min": 4096}))
    shapes = [d.as_json() for d in found.differences]
    assert {(s["class"], s["namespace"], s["pod"], s["container"]) for s in shapes} == {
        (kube_class, "", "", None) for kube_class in ("Guaranteed", "Burstable", "BestEffort")
    }
    released = Released("", "", "", "memory.min", 4096, 0, "written", kube_class="Burstable").as_json()
    assert (released["class"], released["namespace"], released["pod"], released["container"]) == (
        "Burstable",
        "",
        "",
        None,
    )
