"""What counts as a violation, from what was observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.answers.cpu_holders import DRA
from koordnri.answers.cpu_owners import CPUOwner, CPUUser
from koordnri.answers.violations import KINDS, Observed, OwnerProblem, Violation, cpu_violations, file_violations
from koordnri.cpus.choice import Wish
from koordnri.model import CPUSet, NodeState
from koordnri.model.topology import Topology

NODE = NodeState(topology=Topology.regular(1, 2, 2, 2))
"""NUMA node 0: cores 0,4 and 1,5; NUMA node 1: cores 2,6 and 3,7"""
SIX_CORES = NodeState(topology=Topology.regular(1, 2, 3, 2))
"""NUMA node 0: cores 0,6 and 1,7 and 2,8; NUMA node 1: cores 3,9 and 4,10 and 5,11"""


def owner(pod: str, cpus: str, container: str = "main", **more: object) -> CPUOwner:
    has = CPUSet.parse(cpus)
    made = CPUOwner(f"shop/{pod}", container, has, wish=Wish(len(has)))
    return made._replace(**more)  # type: ignore[arg-type]


def user(pod: str, cpus: str, **more: object) -> CPUUser:
    return CPUUser(f"shop/{pod}", "main", CPUSet.parse(cpus))._replace(**more)  # type: ignore[arg-type]


FINE = {
    "nothing runs": Observed(NODE),
    "owners beside each other": Observed(NODE, [owner("a", "0,4"), owner("b", "1,5")]),
    "an owner on its exclusive CPUs": Observed(NODE, [owner("a", "0,4")], [user("a", "0,4")]),
    "sharers beside an owner": Observed(NODE, [owner("a", "0,4")], [user("b", "1-3,5-7")]),
    "batch on an LSR container's CPUs": Observed(NODE, [owner("a", "0,4")], [user("b", "0-7", batch=True)]),
    "an owner that has not started": Observed(NODE, [owner("a", "0,4", runs=False)], [user("b", "0-7")]),
    "a pod's assigned CPUs, and its container on them": Observed(NODE, [owner("a", "0,4", "")], [user("a", "0,4")]),
    "a pod's CPUs, pinned by kubelet, too": Observed(NODE, [owner("a", "0,4", ""), owner("a", "0", "x")]),
    "more CPUs than a NUMA node has": Observed(NODE, [owner("a", "0-2,4-6")]),
    "two NUMA nodes, each with too few free CPUs": Observed(
        NODE, [owner("a", "0,2"), owner("b", "1,4-5"), owner("c", "3,6-7")]
    ),
    "whole cores wanted, of which no NUMA node has enough": Observed(
        SIX_CORES, [owner("a", "0,3,6,9", wish=Wish(4, "FullPCPUs")), *map(owner, "bcde", "1245")]
    ),
    "siblings of two that wish nothing": Observed(NODE, [owner("a", "0"), owner("b", "4")]),
    "a node whose topology is unknown": Observed(NodeState(), [owner("a", "0,9")]),
}


@pytest.mark.parametrize("seen", FINE.values(), ids=FINE)
def test_no_violation(seen: Observed) -> None:
    assert cpu_violations(seen) == []


PCPU, NUMA = Wish(1, "", "PCPULevel"), Wish(1, "", "NUMANodeLevel")
FOUND = {
    "one CPU, two owners": (
        Observed(NODE, [owner("a", "0,4"), owner("b", "4-5", by=DRA)]),
        "TwoOwners",
        "shop/a main: CPUs 4, given by koordnri, are also exclusive to shop/b main, by DRA driver; delete one of the two pods",
    ),
    "one CPU, two containers of a pod": (
        Observed(NODE, [owner("a", "0,4"), owner("a", "0,4", "side")]),
        "TwoOwners",
        "shop/a main: CPUs 0,4, given by koordnri, are also exclusive to shop/a side",
    ),
    "a sharer on an owner's CPUs": (
        Observed(NODE, [owner("a", "0,4")], [user("b", "0-7")]),
        "NotClear",
        "shop/a main: shop/b main runs on CPUs 0,4, too",
    ),
    "many sharers on an owner's CPUs are one": (
        Observed(NODE, [owner("a", "0,4")], [user(name, "0-7") for name in "bcd"]),
        "NotClear",
        "shop/a main: shop/b main and 2 other containers run on CPUs 0,4, too",
    ),
    "batch on an LSE container's CPUs": (
        Observed(NODE, [owner("a", "0,4", lse=True)], [user("b", "0-7", batch=True)]),
        "NotClear",
        "shop/a main: shop/b main runs on CPUs 0,4, too",
    ),
    "an empty pool, which keeps sharers on taken CPUs": (
        Observed(
            replace(NODE, empty_pools=("LS",), problems=("the share pool of LS would be empty; it falls back to 0,4",)),
            [owner("a", "0,4"), owner("b", "1-3,5-7")],
            [user("c", "0,4")],
        ),
        "SharePoolEmpty",
        "the share pool of LS would be empty; it falls back to 0,4",
    ),
    "two NUMA nodes, though one has room": (
        Observed(NODE, [owner("a", "0,2")]),
        "CrossedNUMA",
        "shop/a main: its CPUs 0,2 are on NUMA nodes 0-1; CPUs 0,4 are on 0 only: create the pod again",
    ),
    "a core shared by two that want it alone": (
        Observed(NODE, [owner("a", "0", wish=PCPU), owner("b", "4", wish=PCPU)]),
        "SharedPlace",
        "shop/a main: it wants a core alone (PCPULevel), and shares one with shop/b main: CPUs 0 and 4",
    ),
    "a NUMA node shared by two that want it alone": (
        Observed(NODE, [owner("a", "0", wish=NUMA), owner("b", "1", wish=NUMA)]),
        "SharedPlace",
        "shop/a main: it wants a NUMA node alone (NUMANodeLevel), and shares one with shop/b main: CPUs 0 and 1",
    ),
}


@pytest.mark.parametrize(("seen", "kind", "text"), FOUND.values(), ids=FOUND)
def test_one_violation_about_cpus(seen: Observed, kind: str, text: str) -> None:
    (found,) = cpu_violations(seen)
    assert (found.kind, shown(found)[: len(text)]) == (kind, text)


def test_each_two_owners_of_a_cpu_are_one_violation() -> None:
    owners = [
        owner("whole", "0,4", ""),
        owner("whole", "0", "x"),
        owner("b", "4-5"),
        owner("c", "1,4-5"),
        owner("alone", "2"),
        owner("d", "1"),
    ]
    found = [shown(one).split(";")[0] for one in cpu_violations(Observed(NodeState(), owners))]
    assert found == [
        "shop/whole: CPUs 4, given by koordnri, are also exclusive to shop/b main, by koordnri",
        "shop/whole: CPUs 4, given by koordnri, are also exclusive to shop/c main, by koordnri",
        "shop/b main: CPUs 4-5, given by koordnri, are also exclusive to shop/c main, by koordnri",
        "shop/c main: CPUs 1, given by koordnri, are also exclusive to shop/d main, by koordnri",
    ]


def test_findings_about_files_are_violations() -> None:
    found = file_violations(
        [OwnerProblem("shop/a", "main", "memory.high = 1: refused")],
        [OwnerProblem("shop/a", "main", "refused")],
        [OwnerProblem("shop/a", "", "cpu.max was healed 7 times")],
    )
    assert [(one.kind, shown(one)) for one in found] == [
        ("Unverified", "shop/a main: memory.high = 1: refused"),
        ("Unrecorded", "shop/a main: refused"),
        ("DriftReturns", "shop/a: cpu.max was healed 7 times"),
    ]


def test_every_kind_has_a_case() -> None:
    of_files = {"Unverified", "Unrecorded", "DriftReturns"}
    assert sorted({kind for _, kind, _ in FOUND.values()} | of_files) == sorted(KINDS)


def shown(found: Violation) -> str:
    where = f"{found.pod} {found.container}".strip()
    return f"{where}: {found.message}" if where else found.message
