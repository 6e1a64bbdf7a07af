"""What somebody else writes is found when it happens: event → whose file, compared with what is wanted → a pass over that pod."""

from __future__ import annotations

import errno
import os

import pytest

from koordnri.hook import ContainerContext, Hook
from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.watch import TakenEvents
from koordnri.model import fields
from koordnri.reconcile.drift_pace import CALM_S
from koordnri.reconcile.drift_watches import TRIES_AGAIN_S
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.reconcile.fake_node import MIB, FakeNode, batch_of, busy_node, pinned_to, slice_of, undone
from tests.reconcile.watched_node import CONTAINER, SLICES, many, sweeps, watched

BOTH = pytest.mark.parametrize("version", [1, 2])


@BOTH
def test_a_foreign_value_is_undone_at_once_and_counted(version):
    it = watched(busy_node(version))
    plain = "kubepods/burstable/plain/plain-main"
    passes = it.passes()
    before = it.node.files()
    it.node.kernel.cgroups[plain].quota = 10_000
    it.wrote(plain)
    it.heal()
    assert it.node.files() == before
    assert (it.passes(), undone(it.node)) == (passes + 1, {"cpu.quota": 1})


@BOTH
def test_our_own_writes_are_known_by_their_value_and_cost_no_pass(version):
    it = watched(busy_node(version))
    passes = it.passes()
    for path in it.node.kernel.cgroups:
        it.wrote(path)
    it.heal()
    assert it.passes() == passes


def test_what_we_do_not_hold_is_nobodys_business():
    it = watched()
    passes = it.passes()
    it.node.kernel.cgroups[CONTAINER].weight = 77
    it.wrote(CONTAINER, "cpu.weight")
    it.wrote("kubepods/burstable/unknown", "cpu.max")
    it.heal()
    assert it.passes() == passes
    assert it.node.kernel.cgroups[CONTAINER].weight == 77


def test_what_is_written_before_its_watch_begins_is_found_all_the_same():
    it = watched()
    pod = it.node.pod("q", cpu_quota=80_000)
    directory = it.node.container(pod, cpu_quota=80_000)
    it.node.reconciler.reconcile("pod", [pod])
    it.node.kernel.cgroups[directory].quota = 10_000
    it.heal()
    assert it.quota(directory) == 40_000


# -- a pod's own cgroup: systemd's view or a resize -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "becomes", "noted", "drift"),
    [
        (80_000, 40_000, 80_000, {"cpu.quota": 1}),  # what kubelet had set: systemd or kubelet wrote what it knows
        (100_000, 50_000, 100_000, {}),  # kubelet resized the pod
        (None, None, -1, {}),  # … to no limit
    ],
    ids=["again", "resized", "unlimited"],
)
def test_kubelets_former_value_is_drift_and_another_one_is_a_resize(found, becomes, noted, drift):
    it = watched()
    saves = it.node.saves
    it.node.kernel.cgroups["kubepods/burstable/p"].quota = found
    it.wrote("kubepods/burstable/p")
    it.heal()
    assert it.quota("kubepods/burstable/p") == becomes
    assert it.node.ledger.originals("p").get("cpu.quota", -1) == noted
    assert undone(it.node) == drift
    assert (it.node.saves == saves) is bool(drift), "a note that does not change is not saved"


@BOTH
def test_an_owners_pod_whose_quota_comes_back_is_freed_again(version):
    """As systemd does at the first start of a unit after a daemon-reload."""
    node = FakeNode(version)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("2,3"), cpu_quota=200_000)
    node.container(pod, cpu_quota=200_000)
    it = watched(node, policy={})
    for times in (1, 2, 3):
        it.node.kernel.cgroups["kubepods/p"].quota = 200_000
        it.wrote("kubepods/p")
        it.heal()
        assert it.quota("kubepods/p") is None
        assert undone(it.node) == {"cpu.quota": times}


def test_what_kubelet_sets_of_a_pod_where_nothing_is_ours_is_decided_by():
    """The pod has no quota of ours, as it had none: it gets one, and with it a scaled one."""
    node = FakeNode(2)
    node.container(node.pod("p", reported=None), cpu_quota=80_000)
    it = watched(node)
    assert it.quota("kubepods/burstable/p") is None
    it.node.kernel.cgroups["kubepods/burstable/p"].quota = 80_000
    it.wrote("kubepods/burstable/p")
    it.heal()
    assert it.quota("kubepods/burstable/p") == 40_000
    assert not undone(it.node)


LS_MIN = {
    "resource_qos_config": {"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}}
}


def test_the_protection_of_a_class_comes_back():
    node = FakeNode(2)
    node.container(node.pod("p", "LS", requests={"main": "16Mi"}, memory_limit=64 * MIB), memory_limit=64 * MIB)
    it = watched(node, policy=LS_MIN)
    assert it.node.kernel.cgroups["kubepods"].min == 8 * MIB
    for path in ("kubepods", "kubepods/burstable"):
        it.node.kernel.cgroups[path].min = 0
        it.wrote(path, "memory.min")
    it.heal()
    assert [it.node.kernel.cgroups[path].min for path in ("kubepods", "kubepods/burstable")] == [8 * MIB] * 2
    assert undone(it.node) == {"memory.min": 2}


@pytest.mark.parametrize("level", ["", "/container"], ids=["scope", "container"])
def test_of_a_container_with_two_levels_both_are_watched(level):
    """crun under systemd."""
    node = FakeNode(2, FakeKernel(2, SLICES), crun=True)
    scope = node.container(node.pod("p", parent=slice_of("p"), cpu_quota=80_000), cpu_quota=80_000)
    it = watched(node, crun=True)
    it.node.kernel.cgroups[scope + level].quota = 10_000
    it.wrote(scope + level)
    it.heal()
    assert [it.quota(scope + level) for level in ("", "/container")] == [40_000] * 2
    assert undone(it.node) == {"cpu.quota": 1}


def test_a_cpuset_that_is_narrowed_from_above_is_found_though_nobody_wrote_it():
    """v2 takes any cpuset, and lets a cgroup have what its parents leave of it."""
    node = FakeNode(2)
    directory = node.container(node.pod("p", "LSR", annotations=pinned_to("2,3")))
    it = watched(node, policy={})
    it.node.kernel.cgroups["kubepods"].cpus = frozenset({0, 1, 2})
    it.wrote("kubepods", "cpuset.cpus")
    it.heal()
    assert {(failure["directory"], failure["field"]) for failure in it.node.warnings()} >= {(directory, "cpu.cpus")}


class Bound(Hook):
    """Binds each container to a memory node."""

    name, order, owns = "com.example.bound", 1, (fields.CPU_MEMS,)

    def decide(self, ctx: ContainerContext) -> None:
        ctx.set(fields.CPU_MEMS, "0", "as an example")


class Narrowed:
    """A writer whose memory nodes are not in effect: the fake kernel knows nothing of these."""

    def holds(self, change: Change) -> bool:
        return change.field is not fields.CPU_MEMS


@pytest.mark.parametrize(("file", "suspects"), [("cpuset.mems", {"p"}), ("cpuset.cpus", set()), ("cpu.max", set())])
def test_of_two_cpusets_the_one_that_was_written_above_is_checked_below(file, suspects):
    node = FakeNode(2, hooks=[Bound()])
    node.container(node.pod("p"))
    it = watched(node, policy={})
    it.wrote("kubepods", file)
    it.now += 1.0
    assert it.reconciler.drift.scan(Narrowed()).pods == suspects


# -- who keeps writing ------------------------------------------------------------------------------------------------


def test_what_the_kernel_refuses_is_left_to_the_retries():
    it = watched()
    refused: list[str] = []

    def refuse(path: str, text: str) -> None:
        refused.append(path)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    it.node.kernel.cgroups[CONTAINER].quota = 10_000
    it.node.kernel.before_write = refuse
    for _ in range(10):
        it.wrote(CONTAINER)
        it.heal()
    assert len(refused) == 1


# -- who did it -------------------------------------------------------------------------------------------------------


# -- what is watched --------------------------------------------------------------------------------------------------


def test_watches_come_and_go_with_pods_and_containers():
    it = watched()
    top = f"{ROOT}/sys/fs/cgroup/kubepods/burstable"
    base = {os.path.dirname(top), top, f"{top}/p", f"{top}/p/p-main"}
    assert it.watch.watched == base
    pod = it.node.pod("q", cpu_quota=80_000)
    it.node.reconciler.reconcile("pod", [pod])
    assert it.watch.watched == base | {f"{top}/q"}
    it.node.container(pod, cpu_quota=80_000)
    assert it.watch.watched == base | {f"{top}/q"}
    it.heal()
    assert it.watch.watched == base | {f"{top}/q", f"{top}/q/q-main"}, "its start was not reported"
    it.node.ledger.forget_container("q-main")
    it.heal()
    it.node.run_pass("sweep")
    assert it.watch.watched == base | {f"{top}/q"}
    it.node.ledger.forget_pod("q")
    it.heal()
    assert it.watch.watched == base


def test_a_pod_whose_cgroup_is_removed_is_gone_at_once():
    gone: list[str] = []
    it = watched(pod_gone=lambda pod: gone.append(pod.id))
    it.node.pod("stays")
    it.node.run_pass()
    it.heal()
    for path in [p for p in it.node.kernel.cgroups if p.startswith("kubepods/burstable/p")]:
        del it.node.kernel.cgroups[path]
    it.watch.taken.removed.add(f"{ROOT}/sys/fs/cgroup/kubepods/burstable/p")
    it.heal()
    assert gone == ["p"]


def test_a_container_that_has_ended_costs_no_pass():
    it = watched()
    passes = it.passes()
    del it.node.kernel.cgroups[CONTAINER]
    it.watch.taken.removed.add(f"{ROOT}/sys/fs/cgroup/{CONTAINER}")
    it.heal()
    assert it.passes() == passes
    assert it.reconciler.drift.covers("p")


def test_where_the_kernel_watches_no_more_sweeps_do_and_the_node_is_informed_once():
    it = many(most=5)
    assert len(it.watch.watched) == 5
    assert it.reconciler.drift.refused > 0
    [(reason, message)] = it.reported
    assert (reason, "max_user_watches" in message) == ("DriftSeenLate", True)
    sweeps(it, 1)
    read = sweeps(it, 6)
    assert set(read.values()) == {1, 6}
    it.watch.most = 10_000
    it.now += TRIES_AGAIN_S + 1
    it.node.run_pass("sweep")
    assert it.reconciler.drift.refused == 0
    assert sweeps(it, 6) == {f"p{n}": 1 for n in range(12)}
    assert len(it.reported) == 1


def test_events_that_the_kernel_dropped_are_answered_by_a_sweep_of_everything():
    it = many()
    sweeps(it, 2)
    it.watch.taken = TakenEvents(set(), set(), True)
    assert it.reconciler.heal()
    assert sweeps(it, 1) == {f"p{n}": 1 for n in range(12)}
    assert it.reconciler.drift.overflows == 1


def test_a_pass_over_what_was_undone_is_followed_by_a_rest_unless_somebody_waits():
    it = watched()
    drift = it.reconciler.drift
    drift.rest(0.5)
    it.node.kernel.cgroups[CONTAINER].quota = 10_000
    it.wrote(CONTAINER)
    it.heal(1.0)
    assert it.quota(CONTAINER) == 10_000
    assert drift.due_at() == it.now + 1.0, "half a second's pass, two seconds' rest"
    it.reconciler.heal(waited_for=True)
    assert it.quota(CONTAINER) == 40_000


def test_batch_pods_own_sums_are_held():
    node = FakeNode(1)
    node.container(node.pod("b", "BE", "BestEffort", batch_of(main=(500, 96))))
    it = watched(node, policy={})
    c = it.node.kernel.cgroups["kubepods/besteffort/b"]
    c.limit = c.swap = 256 * MIB
    it.wrote("kubepods/besteffort/b", "memory.limit_in_bytes", "memory")
    c.shares = 2
    it.wrote("kubepods/besteffort/b", "cpu.shares", "cpu")
    it.heal()
    assert (c.limit, c.shares) == (96 * MIB, 512)


def test_a_fight_over_a_file_leaves_few_lines_in_the_history():
    passes = []
    it = watched(passed=passes.append)
    passes.clear()
    for _ in range(9):
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(CALM_S / 2)
    assert undone(it.node) == {"cpu.quota": 9}
    times = [one.times for done in passes for one in done.written]
    assert times == [1, 2, 4, 8]
