"""What files of pods held before us: stored before the first write, and moved by kubelet's resizes."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Resources, fields
from koordnri.reconcile.originals import Originals, as_kubelet_set_it, kubelets_files
from koordnri.reconcile.owner import ContainerOwner, KnownFiles, PodOwner
from koordnri.reconcile.plan import Goal
from tests.reconcile.fake_node import FakeNode

POD = "kubepods/burstable/p"


class Scene:
    """A pod with a quota of 80 ms, and nothing of ours yet."""

    def __init__(self) -> None:
        self.node = FakeNode(2)
        self.pod = self.node.pod("p", cpu_quota=80_000)
        self.cgroup = self.node.kernel.cgroups[POD]
        self.files = KnownFiles()
        self.owner = PodOwner(self.pod, self.files)
        self.originals = Originals(self.node.ledger, self.files)

    @property
    def writer(self) -> Writer:
        """A new one: a writer reads each file once."""
        return self.node.machine.writer(2)

    def goal(self, field: fields.Field, value: Any, restores: bool = False) -> Goal:
        return Goal(self.owner, field.name, Change(POD, field, "", value), restores)

    def note(self, *goals: Goal) -> bool:
        return self.originals.note(goals, self.writer, self.node.state)

    def stored(self) -> dict[str, Any]:
        return self.node.ledger.originals("p")

    def write(self, quota_us: int) -> None:
        """As a pass does: note, write, read back."""
        goal = self.goal(fields.CPU_QUOTA, quota_us)
        self.note(goal)
        self.cgroup.quota = quota_us
        self.owner.verified(goal.name, goal.change, quota_us, restores=False)

    def before(self) -> dict[str, Any]:
        return self.originals.of(self.owner, POD, self.writer, 2)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_value_before_the_first_write_is_stored_and_stays(scene):
    assert scene.note(scene.goal(fields.CPU_QUOTA, 40_000))
    scene.cgroup.quota = 40_000
    assert not scene.note(scene.goal(fields.CPU_QUOTA, 20_000))
    assert scene.stored() == {"cpu.quota": 80_000}


def test_nothing_is_stored_for_a_value_that_is_there_already_or_is_given_back(scene):
    assert not scene.note(scene.goal(fields.CPU_QUOTA, 80_000), scene.goal(fields.MEMORY_MIN, 4096, restores=True))
    assert scene.stored() == {}


def test_nothing_is_stored_for_a_container_whose_baseline_is_known(scene):
    scene.node.container(scene.pod, cpu_quota=80_000)
    [entry] = scene.node.ledger.containers_of("p")
    owner = ContainerOwner(scene.pod, entry, scene.node.ledger)
    change = Change(f"{POD}/p-main", fields.CPU_QUOTA, "", 40_000)
    assert not scene.note(Goal(owner, "cpu.quota", change, restores=False))


def test_shares_are_stored_before_the_kernel_forgets_them(scene):
    assert scene.note(scene.goal(fields.CPU_IDLE, 1))
    assert scene.stored().keys() == {"cpu.idle", "cpu.shares"}


def test_an_empty_cpuset_is_stored_as_all_cpus_since_it_cannot_be_emptied_again(scene):
    assert scene.note(scene.goal(fields.CPU_CPUS, "2-3"))
    assert scene.stored() == {"cpu.cpus": "0-7"}


def test_another_value_than_ours_is_kubelets_new_one(scene):
    scene.write(40_000)
    assert scene.before() == {"cpu.quota": 80_000}
    scene.cgroup.quota = 60_000
    assert scene.before() == {"cpu.quota": 60_000}
    assert scene.stored() == {"cpu.quota": 60_000}
    assert not scene.owner.is_right("cpu.quota", scene.goal(fields.CPU_QUOTA, 40_000).change)


def test_the_original_set_again_is_no_resize_but_the_file_is_wrong(scene):
    scene.write(40_000)
    scene.cgroup.quota = 80_000
    assert scene.before() == {"cpu.quota": 80_000}
    assert not scene.owner.is_right("cpu.quota", scene.goal(fields.CPU_QUOTA, 40_000).change)


def test_shares_of_an_idle_pod_are_the_kernels_and_no_resize(scene):
    scene.cgroup.shares, scene.cgroup.weight = 512, 20
    goal = scene.goal(fields.CPU_SHARES, 1024)
    scene.note(goal)
    scene.owner.verified(goal.name, goal.change, 1024, restores=False)
    before = scene.before()
    scene.cgroup.idle, scene.cgroup.weight = 1, 0
    assert scene.before() == before


def test_files_without_a_value_of_ours_show_what_kubelet_set(scene):
    shown = kubelets_files(POD, {}, scene.writer)
    assert {change.field: change.value for change in shown}[fields.CPU_QUOTA] == 80_000
    assert fields.CPU_QUOTA not in [change.field for change in kubelets_files(POD, {"cpu.quota": 1}, scene.writer)]


def test_kubelets_values_are_originals_and_files_rather_than_the_report():
    reported = Resources(cpu_quota=1, memory_limit=2, cpu_shares=3)
    shown = [Change(POD, fields.MEMORY_LIMIT, "", 4096)]
    found = as_kubelet_set_it(reported, {"cpu.quota": 80_000}, shown)
    assert (found.cpu_quota, found.memory_limit, found.cpu_shares) == (80_000, 4096, 3)
