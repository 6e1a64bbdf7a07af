"""Why a value changed, from two snapshots and from what made the reconciler write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koordnri.chain import Snapshot
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.node import Pool
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.causes import Cause, FieldPlace, SnapshotDifference, Written

POD = Pod("p1", "uid-1", "shop", "web")
OLD_POLICY = msgspec.structs.replace(DEFAULT_POLICY, revision="r1")
NEW_POLICY = msgspec.structs.replace(DEFAULT_POLICY, revision="r2")
STRATEGIES = msgspec.structs.replace(OLD_POLICY, strategies={"resource-qos-config": ("gold",)})
NODE = NodeState(name="n")
POOLS = replace(NODE, ls_pools=(Pool(0, 0, "0-3"),))
OWN = replace(NODE, exclusive_cpus={"uid-1": {"main": CPUSet([2, 3])}})
MORE = replace(NODE, exclusive_cpus={"uid-1": {"main": CPUSet([2, 3, 4])}})
OTHERS = replace(NODE, exclusive_cpus={f"uid-{i}": {"main": CPUSet([i])} for i in range(2, 7)})
ONE_OTHER = replace(NODE, exclusive_cpus={"uid-2": {"main": CPUSet([2])}})
NAMES = {"uid-2": "shop/db"}


def cause(
    was: Snapshot | None,
    now: Snapshot,
    trigger: str = "change",
    pod: Pod | None = POD,
    first: bool = False,
    **more: Any,
) -> tuple[str, str]:
    kube_class = "" if pod is not None else "Burstable"
    written = Written(
        "c1", FieldPlace(pod, kube_class, more.pop("container", "main"), "cpu.cpus"), "0-7", "0-5", **more
    )
    return SnapshotDifference(was, now, lambda key: NAMES.get(key, "another pod")).cause(written, trigger, first=first)


def test_nothing_differs() -> None:
    same = Snapshot(OLD_POLICY, NODE)
    assert cause(same, same, "pod", restores=False) == (Cause.POD, "")
    assert cause(same, same, "sweep", restores=False) == (Cause.CHECK, "")
    assert cause(same, same, "pod", None, container="", restores=False) == (Cause.POD, "pods came, went or changed")


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (None, Snapshot(OLD_POLICY, NODE), (Cause.START, "")),
        (Snapshot(OLD_POLICY, NODE), Snapshot(NEW_POLICY, NODE), (Cause.POLICY, "r1 → r2")),
        (Snapshot(OLD_POLICY, NODE), Snapshot(STRATEGIES, NODE), (Cause.POLICY, "other node strategies")),
        (Snapshot(OLD_POLICY, NODE), Snapshot(OLD_POLICY, OWN), (Cause.PROMOTION, "exclusive CPUs none → 2-3")),
        (Snapshot(OLD_POLICY, OWN), Snapshot(OLD_POLICY, MORE), (Cause.POD, "exclusive CPUs 2-3 → 2-4")),
        (
            Snapshot(OLD_POLICY, NODE),
            Snapshot(OLD_POLICY, ONE_OTHER),
            (Cause.NEIGHBOUR, "shop/db: exclusive CPUs none → 2"),
        ),
        (
            Snapshot(OLD_POLICY, ONE_OTHER),
            Snapshot(OLD_POLICY, NODE),
            (Cause.NEIGHBOUR, "shop/db: exclusive CPUs 2 → none"),
        ),
        (Snapshot(OLD_POLICY, NODE), Snapshot(OLD_POLICY, POOLS), (Cause.NEIGHBOUR, "share pool all CPUs → 0-3")),
        (Snapshot(OLD_POLICY, NODE), Snapshot(OLD_POLICY, replace(NODE, turbo=True)), (Cause.NODE, "")),
    ],
)
def test_what_differs_is_the_cause(was: Snapshot | None, now: Snapshot, expected: tuple[str, str]) -> None:
    assert cause(was, now, restores=False) == expected


def test_many_neighbours_are_counted() -> None:
    _, detail = cause(Snapshot(OLD_POLICY, NODE), Snapshot(OLD_POLICY, OTHERS), restores=False)
    assert detail.endswith("another pod: exclusive CPUs none → 4; and 2 more")


def test_the_pods_own_cgroup_is_promoted_with_its_container() -> None:
    assert cause(Snapshot(OLD_POLICY, NODE), Snapshot(OLD_POLICY, OWN), container="", restores=False) == (
        Cause.PROMOTION,
        "exclusive CPUs none → 2-3",
    )


def test_a_first_value_belongs_to_the_creation_unless_something_changed_since() -> None:
    created = Snapshot(OLD_POLICY, OWN)
    assert cause(created, created, first=True, restores=False) == (Cause.CREATION, "")
    assert cause(created, Snapshot(NEW_POLICY, OWN), first=True, restores=False) == (Cause.POLICY, "r1 → r2")


def test_drift_names_whose_value_was_found_and_how_often() -> None:
    same = Snapshot(OLD_POLICY, NODE)
    assert cause(same, same, restores=False, drift="unknown", times=1) == (Cause.DRIFT, "overwritten by unknown")
    assert cause(same, same, restores=False, drift="kubelet", times=4) == (
        Cause.DRIFT,
        "overwritten with the value of kubelet, 4 times in a row",
    )


def test_a_release_is_named_of_what_it_gives_back() -> None:
    was = Snapshot(OLD_POLICY, NODE)
    for released in ({"p1"}, {"*"}):
        now = Snapshot(OLD_POLICY, replace(NODE, released=frozenset(released)))
        assert cause(was, now, "asked", restores=True) == (Cause.RELEASE, "")
    other = Snapshot(OLD_POLICY, replace(NODE, released=frozenset({"p2"})))
    assert cause(was, other, "pod", restores=True) == (Cause.POD, "")
