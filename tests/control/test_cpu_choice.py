"""Which CPUs best-effort work gets."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.cpu_choice import Usable, choose, pick, usable
from koordnri.model import CPUSet, NodeState
from koordnri.model.node import Pool
from koordnri.model.topology import CPU, Topology
from tests.control.signals import of_pod, signals
from tests.support.pods import pod
from tests.support.policies import policy_of

APART = Topology.of([CPU(cpu, cpu % 4, cpu % 4 // 2, cpu % 4 // 2, 0) for cpu in range(8)])
"""Cores {0,4}{1,5} on node 0, {2,6}{3,7} on node 1."""
TOGETHER = Topology.of([CPU(cpu, cpu // 2, cpu // 4, cpu // 4, 0) for cpu in range(8)])
"""Cores {0,1}{2,3} on node 0, {4,5}{6,7} on node 1."""
ALL = CPUSet(range(8))


def cpus(text: str) -> CPUSet:
    return CPUSet.parse(text)


def parts(others: str, lsr: str = "") -> Usable:
    return Usable(cpus(lsr), cpus(others))


@pytest.mark.parametrize(
    ("topology", "chosen"), [pytest.param(APART, "0,2,4", id="v57"), pytest.param(TOGETHER, "0-1,4", id="v58")]
)
def test_v57_v58_pairs_first_then_a_single_one_from_the_next_bucket(topology: Topology, chosen: str) -> None:
    assert pick(topology, 3, ALL) == cpus(chosen)


def test_the_fullest_bucket_comes_first() -> None:
    assert pick(TOGETHER, 2, ALL - cpus("0")) == cpus("4-5")


def test_without_pairs_single_cpus_are_taken_in_turn() -> None:
    assert pick(TOGETHER, 3, cpus("0,2,4,6")) == cpus("0,2,4")


def test_with_fewer_cpus_than_wanted_there_are_those() -> None:
    assert pick(TOGETHER, 7, cpus("0,3")) == cpus("0,3")
    assert choose(TOGETHER, 7, parts("0,3")) == cpus("0,3")


def test_of_lsr_cpus_it_gets_the_part_that_they_are_of_all() -> None:
    chosen = choose(TOGETHER, 4, parts("4-7", "0-1"))
    assert len(chosen & cpus("0-1")) == 1  # 4 × 2 / 6
    assert len(chosen & cpus("4-7")) == 3


@pytest.mark.parametrize(
    ("before", "count", "after"),
    [
        ("0,2,4", 3, "0,2,4"),
        ("0,2,4", 2, "0,4"),
        ("0,2,4", 4, "0,2,4,6"),
        ("0,2,4", 1, "0"),
        ("1,3,5,7", 3, "1,3,5"),
        ("0,4", 4, "0,2,4,6"),
        ("0", 2, "0,4"),
    ],
)
def test_what_was_chosen_stays_and_siblings_are_kept_together(before: str, count: int, after: str) -> None:
    assert choose(APART, count, parts("0-7"), cpus(before)) == cpus(after)


def test_more_cpus_come_from_the_bucket_that_has_given_the_fewest() -> None:
    assert choose(TOGETHER, 3, parts("0-5"), cpus("0-1")) == cpus("0-1,4")


def test_cpus_that_are_no_longer_usable_are_replaced() -> None:
    assert choose(APART, 3, parts("1-7"), cpus("0,2,4")) == cpus("2,4,6")


def node_of(**state: Any) -> NodeState:
    return NodeState(topology=TOGETHER, **state)


def usable_on(node: NodeState, *pods: Any, **hook: Any) -> Usable:
    policy = policy_of(koordnri_config={"hooks": {"cpuset": hook}})
    return usable(signals(*[of_pod(p) for p in pods], cpus=8), policy, node)


LSE, LSR = pod("LSE", name="lse"), pod("LSR", name="lsr")


@pytest.mark.parametrize(
    ("state", "pods", "left"),
    [
        ({}, (), "0-7"),
        ({"exclusive_cpus": {"uid-lse": {"main": cpus("2-3")}}}, (LSE,), "0-1,4-7"),
        ({"exclusive_cpus": {"uid-lse": {"main": cpus("2-3")}}}, (), "0-1,4-7"),
        ({"exclusive_cpus": {"uid-lsr": {"main": cpus("2-3")}}}, (LSR,), "0-7"),
        ({"dra_cpus": {"uid-x": {"main": cpus("2-3")}}}, (), "0-1,4-7"),
        ({"kubelet_cpus": cpus("2-3")}, (), "0-1,4-7"),
        ({"reserved_cpus": cpus("2"), "kubelet_reserved": cpus("3")}, (), "0-1,4-7"),
        ({"system_cpus": "2-3"}, (), "0-1,4-7"),
        ({"system_cpus": "2-3", "system_exclusive": False}, (), "0-7"),
        ({"isolated_cpus": cpus("2-3")}, (), "0-1,4-7"),
        ({"pods_cpus": cpus("1-7"), "cgroup_version": 1}, (), "1-7"),
        ({"be_pools": (Pool(0, 0, "1-2"), Pool(0, 1, "4-5"))}, (), "1-2,4-5"),
        (
            {},
            (pod("LSE", annotations={"scheduling.koordinator.sh/resource-status": {"cpuset": "2-3"}}),),
            "0-1,4-7",
        ),
        ({}, (pod("LSE", annotations={"scheduling.koordinator.sh/resource-status": "{"}),), "0-7"),
    ],
)
def test_what_others_have_alone_is_not_usable(state: dict[str, Any], pods: Any, left: str) -> None:
    assert usable_on(node_of(**state), *pods).all == cpus(left)


def test_lsr_cpus_are_a_part_of_their_own_wherever_they_come_from() -> None:
    status = {"scheduling.koordinator.sh/resource-status": {"cpuset": "4-5"}}
    node = node_of(exclusive_cpus={"uid-lsr": {"main": cpus("2-3")}})
    assert usable_on(node, LSR, pod("LSR", name="assigned", annotations=status)) == parts("0-1,6-7", "2-5")


def test_isolated_cpus_are_usable_where_the_policy_shares_them() -> None:
    assert usable_on(node_of(isolated_cpus=cpus("2-3")), isolatedCPUs="share").all == cpus("0-7")


def test_offline_cpus_are_not_usable() -> None:
    assert usable(signals(online=range(6)), policy_of(), node_of()).all == cpus("0-5")
