"""What somebody else writes is found when it happens: event → whose file, compared with what is wanted → a pass over that pod."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from koordnri.hook import ContainerContext, Hook
from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.watch import TakenEvents
from koordnri.model import fields
from koordnri.reconcile.drift_pace import AT_ONCE, CALM_S, MOST, RARELY_S, SLOWLY_S
from koordnri.reconcile.drift_watches import TRIES_AGAIN_S
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, batch_of, busy_node, pinned_to, slice_of, undone
from tests.reconcile.fake_watch import FakeWatch

BOTH = pytest.mark.parametrize("version", [1, 2])
SLICES = ("kubepods.slice", *(f"kubepods.slice/kubepods-{qos}.slice" for qos in ("burstable", "besteffort")))
QUOTA = {1: ("cpu", "cpu.cfs_quota_us"), 2: ("", "cpu.max")}


class Watched:
    """A fake node whose reconciler has a watch, and time that passes when the test says so."""

    def __init__(self, node: FakeNode, most: int = 10_000) -> None:
        self.node = node
        self.now = 0.0
        self.told: list[tuple[str, str]] = []
        self.failed: list[Any] = []
        self.watch = FakeWatch(node.kernel.exists)
        self.watch.most = most
        self.reconciler = self.node.reconciler
        assert self.reconciler.drift is not None
        self.reconciler.drift.start(lambda: None)

    def wrote(self, cgroup: str, file: str = "", controller: str = "") -> None:
        """The kernel tells that this file was written."""
        version = self.node.kernel.version
        controller, file = (controller, file) if file else QUOTA[version]
        top = f"{ROOT}/sys/fs/cgroup" + (f"/{controller}" if version == 1 else "")
        self.watch.taken.written.add((f"{top}/{cgroup}", file))

    def heal(self, after_s: float = 1.0) -> None:
        self.now += after_s
        self.reconciler.heal()

    def passes(self) -> int:
        return self.reconciler.stats.passes["drift"]

    def quota(self, cgroup: str) -> int | None:
        return self.node.kernel.cgroups[cgroup].quota


def watched(node: FakeNode | None = None, most: int = 10_000, policy: Any = HALVED, **options: Any) -> Watched:
    """Everything that is there has its values and is watched."""
    made: list[Watched] = []
    hand = lambda: made[0]  # noqa: E731  # the node needs what is made of the node
    options |= {
        "open_watch": lambda woken: hand().watch,
        "warn_node": lambda *told: hand().told.append(told),
        "not_applied": lambda failure: hand().failed.append(failure),
        "monotonic": lambda: hand().now if made else 0.0,
    }
    if node is None:
        node = FakeNode(2, **options)
        node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    else:
        node = node.restarted(**options)
    it = Watched.__new__(Watched)
    made.append(it)
    it.now = 0.0
    it.__init__(node, most)  # type: ignore[misc]
    node.set_policy(**policy)
    node.run_pass()
    it.heal()
    return it


CONTAINER = "kubepods/burstable/p/p-main"


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


def test_who_keeps_undoing_a_file_is_not_fought_without_end_and_told_of_once():
    it = watched()
    began, healed = it.now, []
    for _ in range(20_000):  # ten minutes, every 30 ms
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.03)
        if it.quota(CONTAINER) == 40_000:
            healed.append(it.now - began)
    assert healed[AT_ONCE - 1] < 0.2
    rarely_s = healed[-1] - healed[MOST - 1]
    assert healed[MOST - 1] >= (MOST - AT_ONCE) * SLOWLY_S
    assert len(healed) - MOST <= rarely_s / RARELY_S
    assert undone(it.node) == {"cpu.quota": len(healed)}
    [failure] = it.failed
    assert (failure.directory, failure.field, failure.owner.container) == (CONTAINER, "cpu.quota", "main")
    assert f"undone by others (unknown: 10000) {MOST} times in a row" in failure.error
    it.now += 2 * CALM_S
    it.node.kernel.cgroups[CONTAINER].quota = 10_000
    it.wrote(CONTAINER)
    it.heal()
    assert it.quota(CONTAINER) == 40_000, "after a while of calm, at once again"


def test_a_file_that_is_healed_again_and_again_is_listed_until_it_is_calm():
    it = watched()
    drift = it.reconciler.drift
    for times in range(1, AT_ONCE + 1):
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.1)
        assert len(drift.returning()) == (times == AT_ONCE)
    [(found, owner)] = drift.returning()
    assert (found.file, found.times, owner) == (
        (f"{ROOT}/sys/fs/cgroup/{CONTAINER}", "cpu.max"),
        AT_ONCE,
        it.node.ledger.pods()[0].id,
    )
    it.now += 2 * CALM_S
    assert drift.returning() == []


def test_a_file_that_waits_is_healed_when_its_time_has_come_without_another_event():
    it = watched()
    for _ in range(AT_ONCE + 1):
        it.node.kernel.cgroups[CONTAINER].quota = 10_000
        it.wrote(CONTAINER)
        it.heal(0.1)
    assert it.quota(CONTAINER) == 10_000
    drift = it.reconciler.drift
    assert it.now < drift.due_at() <= it.now + SLOWLY_S
    it.now = drift.due_at()
    it.reconciler.heal()
    assert it.quota(CONTAINER) == 40_000
    assert drift.due_at() == float("inf")


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


def test_by_whom_is_told_by_the_value_found():
    it = watched(busy_node(2, HALVED))  # created so: that is what the runtime has stored
    it.node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": 5.0})
    it.node.run_pass()
    it.heal()
    for path, quota in (
        ("kubepods/burstable/plain", 75_000),  # as kubelet set it
        ("kubepods/burstable/plain/plain-main", 25_000),  # as the runtime stored it
        ("kubepods/besteffort/batch/batch-main", None),  # as kubelet asked for it
        ("kubepods/burstable/shared/shared-main", 123_000),
    ):
        it.node.kernel.cgroups[path].quota = quota
        it.wrote(path)
    it.heal()
    assert it.reconciler.undone.counts == {("cpu.quota", by): 1 for by in ("systemd", "runtime", "kubelet", "unknown")}
    lines = [call.kwargs for call in it.node.log.calls if call.args == ("drift_healed",)]
    [unknown] = [line for line in lines if line["by"] == "unknown"]
    assert unknown == {
        "field": "cpu.quota",
        "by": "unknown",
        "files": 1,
        "times": 1,
        "directory": "kubepods/burstable/shared/shared-main",
        "found": 123_000,
        "wanted": 20_000,
    }


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
    assert it.watch.watched == base | {f"{top}/q", f"{top}/q/q-main"}, "nothing told of its start"
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


def sweeps(it: Watched, times: int) -> dict[str, int]:
    """Pod → at how many of so many sweeps its files were read."""
    read: dict[str, int] = {}
    original = it.node.machine.writer
    for _ in range(times):
        writer = original(2)
        seen: set[str] = set()
        holds = writer.holds
        writer.holds = lambda change, seen=seen, holds=holds: seen.add(change.directory.split("/")[2]) or holds(change)
        it.node.machine.writer = lambda version, writer=writer: writer
        it.node.reconciler.reconcile("sweep", it.node.ledger.pods(), rests=True)
        for pod in seen:
            read[pod] = read.get(pod, 0) + 1
    it.node.machine.writer = original
    return read


def many(**options: Any) -> Watched:
    node = FakeNode(2)
    for n in range(12):
        node.container(node.pod(f"p{n}", cpu_quota=80_000), cpu_quota=80_000)
    return watched(node, **options)


def test_what_is_watched_is_swept_once_a_minute_and_what_is_not_every_time():
    it = many()
    sweeps(it, 1)
    assert sweeps(it, 6) == {f"p{n}": 1 for n in range(12)}
    it.watch.watched.clear()
    it.watch.most = 0
    it.now += TRIES_AGAIN_S
    it.node.run_pass("sweep")
    assert sweeps(it, 6) == {f"p{n}": 6 for n in range(12)}


def test_where_the_kernel_watches_no_more_sweeps_do_and_the_node_is_told_once():
    it = many(most=5)
    assert len(it.watch.watched) == 5
    assert it.reconciler.drift.refused > 0
    [(reason, message)] = it.told
    assert (reason, "max_user_watches" in message) == ("DriftSeenLate", True)
    sweeps(it, 1)
    read = sweeps(it, 6)
    assert set(read.values()) == {1, 6}
    it.watch.most = 10_000
    it.now += TRIES_AGAIN_S + 1
    it.node.run_pass("sweep")
    assert it.reconciler.drift.refused == 0
    assert sweeps(it, 6) == {f"p{n}": 1 for n in range(12)}
    assert len(it.told) == 1


def test_without_inotify_every_sweep_reads_everything():
    def none(woken: Callable[[], None]) -> FakeWatch:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    told: list[str] = []
    node = FakeNode(2, open_watch=none, warn_node=lambda reason, message: told.append(reason))
    node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    node.reconciler.drift.start(lambda: None)
    node.run_pass()
    assert told == ["DriftSeenLate"]
    for _ in range(2):
        assert not node.reconciler.drift.covers("p")
        node.reconciler.heal()
        node.run_pass("sweep")


def test_events_that_the_kernel_dropped_are_answered_by_a_sweep_of_everything():
    it = many()
    sweeps(it, 2)
    it.watch.taken = TakenEvents(set(), set(), True)
    assert it.reconciler.heal()
    assert sweeps(it, 1) == {f"p{n}": 1 for n in range(12)}
    assert it.reconciler.drift.overflows == 1


def test_a_file_that_could_not_be_written_is_tried_at_every_sweep():
    it = many()
    sweeps(it, 1)
    it.node.kernel.cgroups["kubepods/burstable/p3/p3-main"].quota = 10_000
    it.node.kernel.before_write = lambda path, text: (_ for _ in ()).throw(OSError(errno.EINVAL, "no"))
    it.node.run_pass("sweep")
    assert not it.reconciler.drift.covers("p3")
    it.node.kernel.before_write = lambda path, text: None
    it.node.reconciler.reconcile("sweep", it.node.ledger.pods(), rests=True)
    assert it.quota("kubepods/burstable/p3/p3-main") == 40_000


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
