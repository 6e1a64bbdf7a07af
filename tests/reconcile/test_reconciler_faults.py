"""Whatever happens to one pod during a pass, the pass comes to its end, the other pods are done, and the next pass mends what it can."""

from __future__ import annotations

import errno
import os
import threading
from typing import Any

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.watch import TakenEvents
from koordnri.state.world import World
from tests.host.watched_kernel import NEVER, WatchedKernel
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, quotas_of
from tests.reconcile.faulty_node import halved, many

BOTH = pytest.mark.parametrize("version", [1, 2])
CLASSES = ("kubepods", "kubepods/burstable", "kubepods/besteffort")
MEMORY = {
    "resource_qos_config": {
        "clusterStrategy": {
            "lsClass": {
                "memoryQOS": {"enable": True, "minLimitPercent": 50, "lowLimitPercent": 60, "throttlingPercent": 80}
            }
        }
    }
}


def node_of(version: int) -> tuple[FakeNode, WatchedKernel]:
    """Two pods with two containers each, under a policy that has come since."""
    kernel = WatchedKernel(version, CLASSES)
    node = FakeNode(version, kernel)
    pods = [
        node.pod(name, "LS", requests={"a": "16Mi", "b": "8Mi"}, cpu_quota=100_000, memory_limit=64 * MIB)
        for name in ("one", "two")
    ]
    for pod in pods:
        node.container(pod, "a", cpu_quota=60_000, memory_limit=40 * MIB)
        node.container(pod, "b", cpu_quota=40_000, memory_limit=24 * MIB)
    node.run_pass()
    node.set_policy(**HALVED, **MEMORY)
    return node, kernel


def the_others(node: FakeNode) -> dict[str, int | None]:
    return {name: quota for name, quota in quotas_of(node).items() if name.startswith("two")}


def undisturbed(version: int) -> tuple[int, dict[str, int | None]]:
    """Calls that a pass takes, and what it brings the other pod."""
    node, kernel = node_of(version)
    kernel.at_call(NEVER, lambda path: None)
    node.run_pass()
    return kernel.calls, the_others(node)


@BOTH
def test_a_pods_cgroup_may_vanish_at_any_moment_of_a_pass(version):
    calls, right = undisturbed(version)
    for at in range(1, calls + 1):
        node, kernel = node_of(version)

        def vanish(path, kernel=kernel):
            for name in [n for n in kernel.cgroups if "/one" in n]:
                del kernel.cgroups[name]

        kernel.at_call(at, vanish)
        outcomes = node.run_pass()
        assert {o.status for o in outcomes} <= {Status.WRITTEN, Status.SAME, Status.GONE}, at
        assert the_others(node) == right, at
        node.run_pass("sweep")
        assert the_others(node) == right, at


@BOTH
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_what_could_not_be_read_or_written_at_one_pass_is_made_right_by_the_next(version, number):
    calls, right = undisturbed(version)
    for at in range(1, calls + 1):
        node, kernel = node_of(version)

        def fail(path, kernel=kernel):
            raise OSError(number, os.strerror(number), path)

        def fail_on_files(path, kernel=kernel, fail=fail):
            if path.rpartition("/")[2].partition(".")[0] in ("cpu", "memory", "cpuset", "io") and "." in path:
                fail(path)

        kernel.at_call(at, fail_on_files)
        node.run_pass()
        node.run_pass("asked")
        assert the_others(node) == right, at
        assert all(quotas_of(node)[f"one-{c}"] == right[f"two-{c}"] for c in "ab"), at
        assert quotas_of(node).get("one") == right.get("two"), at


@BOTH
def test_a_file_that_is_unreadable_for_whole_passes_is_known_again_afterwards(version):
    """What we had written there is not taken for kubelet's."""
    node, kernel = node_of(version)
    node.run_pass()
    right, ledger = quotas_of(node), node.ledger.all_originals()
    read = kernel.read

    def unreadable(path: str) -> str:
        if "/one" in path and ("cpu" in path or "memory" in path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return read(path)

    kernel.read = unreadable
    for trigger in ("asked", "sweep", "change", "pod"):
        node.run_pass(trigger)
    kernel.read = read
    for trigger in ("asked", "sweep", "change"):
        node.run_pass(trigger)
    assert (quotas_of(node), node.ledger.all_originals()) == (right, ledger)


# -- faults of ours ---------------------------------------------------------------------------------------------------


def test_a_fault_in_one_pods_plan_costs_that_pods_pass():
    node, faults, reported = many()
    bad = node.ledger.pod("p7")
    bad.cgroup_parent = 7  # no text, which no runtime sends
    for _ in range(2):
        node.run_pass("asked")
    assert halved(node) == {f"p{i}" for i in range(200)} - {"p7"}
    assert faults.counts == {"plan": 2}
    assert reported == ["p7"]


class Broken:
    """A part of the work of which every call is a bug."""

    def __getattr__(self, name: str) -> Any:
        def call(*_: object, **__: object) -> None:
            raise ZeroDivisionError(name)

        return call


def broken(*_: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"cache": Broken()}, {"resctrl": 2}),
        ({"recorder": lambda node: Broken()}, {"record": 1}),
        ({"save": broken}, {}),
    ],
    ids=["resctrl", "recorder", "save"],
)
def test_a_fault_beside_the_files_costs_them_nothing(options: dict[str, Any], where: dict[str, int]):
    node, faults, _ = many(5, **options)
    node.run_pass()
    if where:
        assert halved(node) == {f"p{i}" for i in range(5)}
        assert faults.counts == where
    else:  # what was there before could not be noted down: then nothing of that pod is written
        assert set(faults.counts) == {"write"}


def test_a_pass_that_fails_as_a_whole_does_not_end_the_thread():
    worlds = iter([True, False, True, True, True, True])

    def world(found: World) -> World:
        if not next(worlds, True):
            raise ZeroDivisionError
        return found

    node, faults, reported = many(3, world=world, debounce_s=0.0)
    thread = threading.Thread(target=node.reconciler.run)
    node.run_pass()
    thread.start()
    try:
        with pytest.raises(TimeoutError, match="its pass failed"):
            node.requests.ask(node.ledger.pods(), 20.0)
        assert faults.counts == {"reconcile": 1}
        assert reported == ["node"]
        assert node.requests.ask(node.ledger.pods(), 20.0)
    finally:
        node.requests.stop()
        thread.join(20.0)


class IdleWatch:
    """Watches everything, and nothing happens."""

    held = False

    def __len__(self) -> int:
        return 0

    def add(self, directory: str) -> bool:
        return True

    def remove(self, directory: str) -> None: ...

    def hold(self, held: bool) -> None:
        self.held = held

    def take(self) -> TakenEvents:
        return TakenEvents(set(), set(), False)

    def close(self) -> None: ...


@pytest.mark.parametrize("part", ["drift", "record"])
def test_a_part_that_cannot_say_when_it_has_something_to_do_does_not_end_the_thread(part: str):
    options = {"recorder": lambda node: Broken()} if part == "record" else {"open_watch": lambda woken: IdleWatch()}
    node, faults, _ = many(3, debounce_s=0.0, **options)
    if part == "drift":
        node.reconciler.drift.due_at = broken
    thread = threading.Thread(target=node.reconciler.run)
    thread.start()
    try:
        assert node.requests.ask(node.ledger.pods(), 20.0)
        assert node.requests.ask(node.ledger.pods(), 20.0), "it sleeps, and comes round again"
        assert faults.counts[part] > 1
        assert thread.is_alive()
    finally:
        node.requests.stop()
        thread.join(20.0)


def test_the_watch_is_held_during_a_pass_and_not_after_one_that_failed():
    watch, held, fails = IdleWatch(), [], threading.Event()

    def world(found: World) -> World:
        held.append(watch.held)
        if fails.is_set():
            raise ZeroDivisionError
        return found

    node, _, _ = many(3, world=world, debounce_s=0.0, open_watch=lambda woken: watch)
    thread = threading.Thread(target=node.reconciler.run)
    thread.start()
    try:
        assert node.requests.ask(node.ledger.pods(), 20.0)
        fails.set()
        with pytest.raises(TimeoutError):
            node.requests.ask(node.ledger.pods(), 20.0)
    finally:
        node.requests.stop()
        thread.join(20.0)
    assert held
    assert all(held)
    assert not watch.held


def test_who_waits_for_others_to_leave_is_not_answered_by_a_pass_that_failed():
    fails = threading.Event()
    fails.set()

    def world(found: World) -> World:
        if fails.is_set():
            raise ZeroDivisionError
        return found

    node, _, _ = many(3, world=world, debounce_s=0.0)
    thread = threading.Thread(target=node.reconciler.run)
    thread.start()
    try:
        number = node.requests.hurry()
        assert not node.requests.wait_done(number, 0.2)
        fails.clear()
        assert node.requests.wait_done(node.requests.hurry(), 20.0)
        assert halved(node) == {"p0", "p1", "p2"}
    finally:
        node.requests.stop()
        thread.join(20.0)
