"""Which files are followed for a pod, and when a new plan changes nothing about them."""

from __future__ import annotations

from koordnri.host.cgroup.change import Change
from koordnri.model import fields
from koordnri.reconcile.drift_followed import Followed, directories_above, files_of, values_of
from koordnri.reconcile.owner import KnownFiles, PodOwner
from koordnri.reconcile.plan import Goal, PodPlan
from tests.host.fake_kernel import ROOT
from tests.reconcile.fake_node import FakeNode

CGROUP = "kubepods/burstable/p"
TOP = f"{ROOT}/sys/fs/cgroup"


def node() -> FakeNode:
    node = FakeNode(2)
    node.pod("p")
    return node


def plan_of(node: FakeNode, *decided: tuple[fields.Field, int], kubelets: tuple[fields.Field, ...] = ()) -> PodPlan:
    pod = node.ledger.pod("p")
    assert pod is not None
    owner = PodOwner(pod, KnownFiles())
    holds = [Goal(owner, field.name, Change(CGROUP, field, "", value), restores=False) for field, value in decided]
    shown = [Change(CGROUP, field, "", -1) for field in kubelets]
    return PodPlan([], {}, [], {}, shown, holds=holds, containers=[("c", True)])


def followed(plan: PodPlan, **directories: bool) -> Followed:
    shown = plan.holds, plan.kubelets, plan.containers, plan.groups
    values = [(None, Change(CGROUP, fields.CPU_QUOTA, "", -1)) for _ in directories]
    files = {(directory, "cpu.max"): [number] for number, directory in enumerate(directories)}
    return Followed(*shown, "", values, files, directories, complete=True)


def test_a_decided_file_has_its_goal_and_a_file_of_kubelets_has_none():
    it = node()
    plan = plan_of(it, (fields.MEMORY_MIN, 1 << 20), kubelets=(fields.CPU_QUOTA,))
    values = values_of(plan)
    assert values == [(plan.holds[0], plan.holds[0].change), (None, plan.kubelets[0])]
    assert files_of(values, it.machine.writer(2)) == {
        (f"{TOP}/{CGROUP}", "memory.min"): [0],
        (f"{TOP}/{CGROUP}", "cpu.max"): [1],
    }


def test_two_disks_have_their_values_in_one_file():
    it = node()
    plan = plan_of(it, (fields.MEMORY_MIN, 1 << 20))
    [goal] = plan.holds
    disks = [goal._replace(change=Change(CGROUP, fields.IO_MAX, disk, "rbps=1")) for disk in ("8:0", "8:16")]
    values = values_of(plan._replace(holds=disks))
    files = files_of(values, it.machine.writer(2))
    assert files == {(f"{TOP}/{CGROUP}", "io.max"): [0, 1]}
    followed = Followed(disks, (), (), {}, "", values, files, {}, complete=True)
    assert followed.values_of((f"{TOP}/{CGROUP}", "io.max")) == values
    assert followed.values_of((f"{TOP}/{CGROUP}", "cpu.max")) == []


def test_a_plan_with_other_values_for_the_same_fields_has_the_same_files():
    plan, home = plan_of(node(), (fields.CPU_QUOTA, 50_000)), f"{TOP}/{CGROUP}"
    files = {(home, "cpu.max"): [0]}
    shown = plan.holds, plan.kubelets, plan.containers, plan.groups
    it = Followed(*shown, home, values_of(plan), files, {home: True}, complete=True)

    def has_files_of(other: PodPlan, home: str = home) -> bool:
        return it.has_files_of(values_of(other), other.containers, home)

    assert has_files_of(plan_of(node(), (fields.CPU_QUOTA, 60_000)))
    assert not has_files_of(plan_of(node(), (fields.MEMORY_MIN, 50_000)))
    assert not has_files_of(plan._replace(containers=[("c", False)])), "its inner cgroup may be made until it starts"
    assert not has_files_of(plan, "elsewhere")
    assert not it._replace(directories={home: False}).has_files_of(values_of(plan), plan.containers, home)


def test_a_file_that_is_about_to_be_written_does_not_show_kubelets_value():
    it = node()
    plan = plan_of(it, (fields.CPU_QUOTA, 50_000), kubelets=(fields.CPU_QUOTA,))
    assert [goal for goal, _ in values_of(plan)] == [plan.holds[0]]


def test_a_plan_of_the_same_lists_changes_nothing_and_one_of_equal_lists_may():
    plan = plan_of(node(), (fields.CPU_QUOTA, 50_000))
    it = followed(plan)
    assert it.is_of(plan)
    assert it.is_of(plan._replace(goals=list(plan.holds)))
    assert not it.is_of(plan._replace(holds=list(plan.holds)))


def test_the_goals_above_the_pods_are_compared_by_value():
    """They are made again in each pass."""
    plan = plan_of(node(), (fields.CPU_QUOTA, 50_000))._replace(containers=())
    assert followed(plan).is_of(plan._replace(holds=list(plan.holds)))
    assert not followed(plan).is_of(plan._replace(holds=[]))


def test_files_whose_directory_is_missing_do_not_count():
    it = followed(plan_of(node()), here=True, gone=False)
    assert list(it.existing()) == [it.values[0]]


def test_the_directories_above_end_below_the_root_of_all_cgroups():
    it = node()
    home = it.machine.writer(2).home(CGROUP)
    assert directories_above(home, it.machine.writer(2)) == {f"{TOP}/kubepods/burstable", f"{TOP}/kubepods"}
    assert directories_above("", it.machine.writer(2)) == set()
