"""Share pools, computed from what is taken."""

from __future__ import annotations

import pytest

from koordnri.cpus.allocator import Allocator
from koordnri.model import CPUSet, NodeState
from koordnri.model.node import Pool
from koordnri.policy.koordnri_config import CPUSetOptions
from tests.cpus.one_allocator import ISOLATED, NODE, assigned, give, pools, whole
from tests.support.pods import pod


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
    reported = allocator.applied(node)
    assert pools(*reported.ls_pools) == pool
    assert "LS" in reported.empty_pools
    assert any("share pool of LS would be empty" in problem for problem in reported.problems)
