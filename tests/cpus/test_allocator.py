"""Exclusive CPUs: who gets them, who does not, and that the same map comes back after a restart."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.cpus import restore
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.holding import Holding
from koordnri.cpus.room import NotEnough
from koordnri.model import CPUSet, NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from tests.cpus.one_allocator import ALL_MAY_GO, NODE, give, whole
from tests.examples import examples
from tests.support.pods import pod

# -- who wants some ---------------------------------------------------------------------------------------------------


# -- giving -----------------------------------------------------------------------------------------------------------


def test_nobody_gets_what_another_has_and_a_restarted_container_gets_its_own_again():
    allocator = Allocator()
    assert [give(allocator, name) for name in ("a", "b", "c", "a")] == ["0,8", "1,9", "2,10", "0,8"]
    assert allocator.forget_pod("uid-b")
    assert not allocator.forget_pod("uid-b")
    assert give(allocator, "d") == "1,9", "the gap"


def test_a_container_that_asks_for_another_number_gets_other_cpus():
    allocator = Allocator()
    assert give(allocator, "a") == "0,8"
    assert give(allocator, "a", 4) == "0-1,8-9"
    assert give(allocator, "b") == "2,10"


def test_reserved_kubelets_system_and_the_schedulers_cpus_are_not_given():
    node = NodeState(
        topology=NODE.topology,
        reserved_cpus=CPUSet([0, 8]),
        kubelet_cpus=CPUSet([1, 9]),
        system_cpus="2,10",
    )
    pinned = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "3,11"}'}, name="other")
    assert give(Allocator(), "a", node=node, pods=(pinned,)) == "4,12"
    shared = NodeState(topology=NODE.topology, system_cpus="0,8", system_exclusive=False)
    assert give(Allocator(), "a", node=shared) == "0,8"


def test_a_node_of_which_no_topology_is_known_gives_nothing():
    assert give(Allocator(), "a", node=NodeState()) == ""


# -- what is left -----------------------------------------------------------------------------------------------------


def test_of_cpus_that_went_offline_the_others_stay_its_own_until_it_is_made_again():
    allocator = Allocator()
    give(allocator, "a")
    smaller = NodeState(topology=Topology.of([c for c in NODE.topology.cpus if c.cpu != 8]))
    assert allocator.applied(smaller).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("0")}}
    gone = NodeState(topology=Topology.of([c for c in NODE.topology.cpus if c.cpu not in (0, 8)]))
    assert allocator.applied(gone).exclusive_cpus == {}
    assert allocator.applied(NODE).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("0,8")}}, "it is back"
    assert give(allocator, "a", node=smaller) == "1,9"


def promote(allocator: Allocator, name: str, cpus: int, node: NodeState) -> None:
    """One pass, which moves the others off what is reserved."""
    allocator.promote(pod("LSR", name=name), "main", whole(cpus), node, ALL_MAY_GO)
    allocator.arrive(allocator.coming())


def test_where_the_pods_cgroup_loses_some_of_its_cpus_it_runs_on_others_if_there_are_any():
    allocator = Allocator()
    give(allocator, "a")
    narrowed = replace(NODE, pods_cpus=CPUSet.parse("1-15"))
    promote(allocator, "a", 2, narrowed)
    assert allocator.applied(narrowed).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("1,8")}}
    assert allocator.applied(NODE).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("1,8")}}, (
        "nobody moves when it is widened"
    )


def test_where_there_are_no_others_it_is_reported_and_what_it_lost_is_its_own_when_it_comes_back():
    allocator, narrowed = Allocator(), replace(NODE, pods_cpus=CPUSet([8]))
    give(allocator, "a")
    with pytest.raises(NotEnough):
        promote(allocator, "a", 2, narrowed)
    assert allocator.applied(narrowed).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("8")}}
    allocator.lack(pod("LSR", name="a"), "main", "too few")
    promote(allocator, "a", 2, NODE)
    assert allocator.applied(NODE).exclusive_cpus == {"uid-a": {"main": CPUSet.parse("0,8")}}
    assert not allocator.lacking


# -- restart ----------------------------------------------------------------------------------------------------------


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(0, 9), st.integers(1, 6), st.sampled_from(["LSR", "LSE"])),
        st.tuples(st.just("forget"), st.integers(0, 9), st.just(0), st.just("")),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just("")),
    ),
    max_size=30,
)


@settings(max_examples=examples(200))
@given(ACTS)
def test_no_cpu_is_given_twice_nothing_is_lost_and_a_restart_changes_nothing(acts):
    allocator = Allocator()
    alive: dict[str, str] = {}
    for act, number, cpus, qos in acts:
        name = f"p{number}"
        if act == "give":
            qos = alive.setdefault(name, qos)
            with contextlib.suppress(NotEnough):
                give(allocator, name, cpus, qos)
        elif act == "forget":
            alive.pop(name, None)
            allocator.forget_pod(f"uid-{name}")
        else:
            found = [
                restore.FoundHolding(pod(alive[key[4:]], name=key[4:]), n, whole(len(h.cpus)), h.allocated, None, True)
                for key, of in allocator.held.items()
                for n, h in of.items()
            ]
            before = allocator.held
            allocator = Allocator()
            allocator.restore(restore.holdings(found, NODE))
            assert allocator.held == before
    given_all: list[Holding] = [h for of in allocator.held.values() for h in of.values()]
    taken = CPUSet()
    for one in given_all:
        assert not one.cpus & taken
        taken |= one.cpus
    node = allocator.applied(NODE)
    if given_all and taken != NODE.topology.online:
        shared = CPUSet()
        for pool in node.ls_pools:
            shared |= CPUSet.parse(pool.cpus)
        assert not shared & taken
        assert shared | taken == NODE.topology.online, "pools and what is given are all there is"
    for name in list(alive):
        allocator.forget_pod(f"uid-{name}")
    assert allocator.applied(NODE) is NODE, "back at the start"


# -- others' claims ---------------------------------------------------------------------------------------------------


# -- to try something on ----------------------------------------------------------------------------------------------


def test_what_is_tried_on_a_copy_changes_nothing():
    allocator = Allocator()
    give(allocator, "a")
    allocator.note_dra("uid-a", "side", CPUSet([1]))
    tried = allocator.copy()
    tried.take_back("uid-a")
    assert give(tried, "b") == "0,8"
    assert tried.applied(NODE).dra_cpus == {"uid-a": {"side": CPUSet.parse("1")}}
    assert {p: str(of["main"].cpus) for p, of in allocator.held.items()} == {"uid-a": "0,8"}


def test_a_node_that_had_another_map_gets_this_one_alone():
    allocator = Allocator()
    give(allocator, "a")
    before = allocator.applied(NODE)
    assert allocator.applied(before) == before
    assert Allocator().applied(before) == NODE
    full = Allocator()
    give(full, "a", 16)
    reported = full.applied(NODE)
    assert reported.problems
    assert full.applied(reported).problems == reported.problems


# -- isolated CPUs ----------------------------------------------------------------------------------------------------


# -- when all is given away -------------------------------------------------------------------------------------------
