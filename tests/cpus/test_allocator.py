"""Exclusive CPUs: who gets them, who does not, and that the same map comes back after a restart."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.cpus import restore
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.choice import Wish
from koordnri.cpus.dra import dra_cpus
from koordnri.cpus.holding import Holding
from koordnri.cpus.room import NotEnough
from koordnri.cpus.wish import wanted_by
from koordnri.model import CPUSet, NodeState, Pod, Resources
from koordnri.model.allocated import Allocated
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.node import Pool
from koordnri.model.resource_spec import RESOURCE_SPEC
from koordnri.model.topology import Topology
from koordnri.policy.koordnri_config import CPUSetOptions
from tests.examples import examples
from tests.support.pods import pod

NODE = NodeState(topology=Topology.regular(1, 2, 4, 2))
"""16 CPUs on 2 NUMA nodes, cores 0,8 1,9 …"""


def whole(cpus: int) -> Resources:
    return Resources(cpu_shares=cpus * 1024, cpu_quota=cpus * 100_000, cpu_period=100_000)


ALL_MAY_GO = CPUSetOptions(min_shared_cpus=0)


def give(
    allocator: Allocator, name: str, cpus: int = 2, qos: str = "LSR", node: NodeState = NODE, pods: tuple[Pod, ...] = ()
) -> str:
    for one in pods:
        allocator.note_pod(one)
    given = allocator.give(pod(qos, name=name), "main", whole(cpus), node, ALL_MAY_GO)
    return "" if given is None else str(given.cpus)


def spec(**policies: str) -> dict[str, str]:
    return {RESOURCE_SPEC.key: json.dumps(policies)}


# -- who wants some ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("qos", "asked", "wants"),
    [
        ("LSR", whole(2), 2),
        ("LSE", whole(1), 1),
        ("LS", whole(2), 0),
        ("BE", whole(2), 0),
        ("", whole(2), 0),
        ("LSR", Resources(cpu_shares=2048, cpu_quota=250_000), 0),  # not a whole number
        ("LSR", Resources(cpu_shares=1024, cpu_quota=200_000), 0),  # requests less than the limit
        ("LSR", Resources(cpu_shares=2048, cpu_quota=100_000, cpu_period=50_000), 2),
        ("LSR", Resources(cpu_shares=2048), 0),
        ("LSR", Resources(cpu_shares=2048, cpu_quota=-1), 0),
    ],
)
def test_who_has_a_whole_number_of_cpus_and_asks_for_as_many_wants_them_alone(qos, asked, wants):
    wanted = wanted_by(pod(qos, name="p"), "main", asked)
    assert wanted.cpus == wants
    assert bool(wanted.why_not) == (not wants and qos in ("LSR", "LSE"))


def test_whom_the_scheduler_has_assigned_cpus_wants_none_of_ours():
    one = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "1"}'}, name="p")
    assert wanted_by(one, "main", whole(1)).wishes == ()


@pytest.mark.parametrize(
    ("policies", "wishes"),
    [
        ({}, [("", "")]),
        ({"preferredCPUBindPolicy": "Default", "preferredCPUExclusivePolicy": "None"}, [("", "")]),
        ({"preferredCPUBindPolicy": "FullPCPUs"}, [("FullPCPUs", ""), ("", "")]),
        ({"requiredCPUBindPolicy": "FullPCPUs"}, [("FullPCPUs", "")]),
        (
            {"preferredCPUBindPolicy": "SpreadByPCPUs", "preferredCPUExclusivePolicy": "PCPULevel"},
            [("SpreadByPCPUs", "PCPULevel"), ("SpreadByPCPUs", ""), ("", "PCPULevel"), ("", "")],
        ),
    ],
)
def test_what_is_preferred_is_given_up_before_what_is_required(policies, wishes):
    found = wanted_by(pod("LSR", annotations=spec(**policies), name="p"), "main", whole(2)).wishes
    assert [(w.bind, w.exclusive) for w in found] == wishes


@pytest.mark.parametrize("text", ['{"preferredCPUBindPolicy": "Both"}', "{", "[]", '{"preferredCPUBindPolicy": 5}'])
def test_a_wish_that_cannot_be_read_counts_as_none(text):
    assert wanted_by(pod("LSR", annotations={RESOURCE_SPEC.key: text}, name="p"), "main", whole(2)).wishes == (Wish(2),)


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


def test_when_there_are_not_enough_it_says_how_many_there_are_and_takes_nothing():
    allocator = Allocator()
    give(allocator, "a", 14)
    with pytest.raises(NotEnough, match=r"4 exclusive CPUs: 2 of 16 are free \(7,15\)"):
        give(allocator, "b", 4)
    assert list(allocator.held) == ["uid-a"]


def test_that_none_is_left_for_one_is_said_in_words():
    allocator = Allocator()
    give(allocator, "a", 16)
    with pytest.raises(NotEnough, match=r"^1 exclusive CPU: 0 of 16 are free$"):
        give(allocator, "b", 1)


def test_a_node_of_which_no_topology_is_known_gives_nothing():
    assert give(Allocator(), "a", node=NodeState()) == ""


# -- what is left -----------------------------------------------------------------------------------------------------


def pools(*of: Pool) -> list[str]:
    return [pool.cpus for pool in of]


def test_while_nothing_is_taken_there_are_no_pools():
    assert Allocator().applied(NODE) is NODE


def test_ls_loses_what_is_given_and_be_only_what_lse_has():
    allocator = Allocator()
    give(allocator, "r")
    node = allocator.applied(NODE)
    assert (pools(*node.ls_pools), pools(*node.be_pools), node.pools_are_local) == (["1-3,9-11", "4-7,12-15"], [], True)
    assert node.exclusive_cpus == {"uid-r": {"main": CPUSet.parse("0,8")}}
    give(allocator, "e", qos="LSE")
    node = allocator.applied(NODE)
    assert pools(*node.ls_pools) == ["2-3,10-11", "4-7,12-15"]
    assert pools(*node.be_pools) == ["0,2-3,8,10-11", "4-7,12-15"]


def test_pools_that_koordinator_publishes_stand():
    published = NodeState(topology=NODE.topology, ls_pools=(Pool(0, 0, "0-15"),))
    allocator = Allocator()
    give(allocator, "a")
    node = allocator.applied(published)
    assert (node.ls_pools, node.pools_are_local) == (published.ls_pools, False)


def test_a_pool_that_would_be_empty_falls_back_and_says_so():
    allocator = Allocator()
    give(allocator, "a", 16)
    node = allocator.applied(NODE)
    assert node.ls_pools == ()
    assert any("share pool of LS would be empty" in problem for problem in node.problems)
    reserved = NodeState(topology=NODE.topology, reserved_cpus=CPUSet([0]))
    allocator = Allocator()
    give(allocator, "a", 15, node=reserved)
    assert pools(*allocator.applied(reserved).ls_pools) == ["0"], "what is reserved first"


def test_of_cpus_that_went_offline_the_others_stay_its_own_until_it_is_made_anew():
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


def test_where_there_are_no_others_it_is_told_and_what_it_lost_is_its_own_when_it_comes_back():
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


def test_notes_of_others_making_are_not_believed():
    notes = [
        (pod("LSR", name="a"), 2, "0-1"),
        (pod("LSR", name="b"), 2, "1-2"),  # 1 is a's
        (pod("LS", name="c"), 1, "4"),
        (pod("LSR", name="d"), 1, "x"),
        (pod("LSR", name="e"), 1, ""),
        (pod("LSR", name="f"), 1, "5 Whatever"),
        (pod("LSR", name="g"), 1, "6 PCPULevel"),
        (pod("LSR", name="h"), 1, "7-8"),  # more than it wants
    ]
    found = [
        restore.FoundHolding(one, "main", whole(cpus), Allocated.parse(note), None, True) for one, cpus, note in notes
    ]
    held = restore.holdings(found, NODE)
    assert {key: {n: str(h.allocated) for n, h in of.items()} for key, of in held.items()} == {
        "uid-a": {"main": "0-1"},
        "uid-g": {"main": "6 PCPULevel"},
        "uid-h": {"main": "8"},
    }


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


@pytest.mark.parametrize(
    ("env", "cpus"),
    [
        (["PATH=/bin", "DRA_CPUSET_claim-1=2-3", "DRA_CPUSET_claim-2=8"], "2-3,8"),
        (["XDRA_CPUSET_a=1", "DRA_CPUSET=1", "dra_cpuset_a=1"], ""),
        (["DRA_CPUSET_a=all", "DRA_CPUSET_b=", "DRA_CPUSET_c"], ""),
    ],
)
def test_what_a_dra_driver_gave_is_read_from_the_environment(env, cpus):
    assert str(dra_cpus(env)) == cpus


def test_what_a_dra_driver_gave_is_nobody_elses_and_goes_with_its_pod():
    allocator = Allocator()
    allocator.note_dra("uid-d", "main", CPUSet([0, 8]))
    assert give(allocator, "a") == "1,9"
    node = allocator.applied(NODE)
    assert node.dra_cpus == {"uid-d": {"main": CPUSet.parse("0,8")}}
    assert pools(*node.ls_pools) == ["2-3,10-11", "4-7,12-15"]
    assert pools(*node.be_pools) == ["1-3,9-11", "4-7,12-15"]
    allocator.forget_pod("uid-d")
    allocator.forget_pod("uid-a")
    assert allocator.applied(NODE) is NODE


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


def test_a_node_that_had_another_map_is_told_this_one_alone():
    allocator = Allocator()
    give(allocator, "a")
    before = allocator.applied(NODE)
    assert allocator.applied(before) == before
    assert Allocator().applied(before) == NODE
    full = Allocator()
    give(full, "a", 16)
    told = full.applied(NODE)
    assert told.problems
    assert full.applied(told).problems == told.problems


# -- isolated CPUs ----------------------------------------------------------------------------------------------------

ISOLATED = NodeState(topology=NODE.topology, isolated_cpus=CPUSet.parse("0-1,8-9"))


@pytest.mark.parametrize(
    ("isolated", "given", "pool"),
    [
        ("leave", "2,10", ["3,11", "4-7,12-15"]),
        ("own", "0,8", ["2-3,10-11", "4-7,12-15"]),
        ("share", "0,8", ["1-3,9-11", "4-7,12-15"]),
    ],
)
def test_isolated_cpus_are_in_no_pool_unless_the_policy_shares_them(isolated, given, pool):
    options = CPUSetOptions(isolated_cpus=isolated)
    allocator = Allocator()
    held = allocator.give(pod("LSR", name="a"), "main", whole(2), ISOLATED, options)
    assert str(held.cpus) == given
    assert pools(*allocator.applied(ISOLATED, options).ls_pools) == pool


def test_owners_of_isolated_cpus_leave_the_shared_ones_alone_however_few():
    options, allocator = CPUSetOptions(isolated_cpus="own", min_shared_cpus=12), Allocator()
    assert str(allocator.give(pod("LSR", name="a"), "main", whole(4), ISOLATED, options).cpus) == "0-1,8-9"
    with pytest.raises(NotEnough, match="12 stay shared"):
        allocator.give(pod("LSR", name="b"), "main", whole(1), ISOLATED, options)


# -- when all is given away -------------------------------------------------------------------------------------------


def assigned(name: str, qos: str, cpus: str) -> Pod:
    return pod(qos, annotations={RESOURCE_STATUS.key: json.dumps({"cpuset": cpus})}, name=name)


@pytest.mark.parametrize(
    ("reserved", "owners", "pool"),
    [
        ("0,8", (("r", "LSR", "1-3,9-11"), ("e", "LSE", "4-7,12-15")), ["0,8"]),
        ("", (("r", "LSR", "0-3,8-11"), ("e", "LSE", "4-7,12-15")), ["0-3,8-11"]),
        ("", (("e", "LSE", "0-15"),), []),
    ],
)
def test_the_pool_falls_back_to_reserved_cpus_then_to_lsrs_then_to_lses(reserved, owners, pool):
    node, allocator = NodeState(topology=NODE.topology, reserved_cpus=CPUSet.parse(reserved)), Allocator()
    for owner in owners:
        allocator.note_pod(assigned(*owner))
    told = allocator.applied(node)
    assert pools(*told.ls_pools) == pool
    assert "LS" in told.empty_pools
    assert any("share pool of LS would be empty" in problem for problem in told.problems)
