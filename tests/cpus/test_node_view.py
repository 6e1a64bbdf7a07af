"""The node as decisions see it: who has which CPUs, and what is left for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.node_view import NodeView, taken_cpus
from koordnri.model import CPUSet, NodeState
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.topology import Topology
from koordnri.policy.koordnri_config import CPUSetOptions

NODE = NodeState(topology=Topology.regular(1, 1, 4, 1))
OPTIONS = CPUSetOptions()
HELD: Holdings = {"a": {"main": Holding(CPUSet([0]))}}


def of(view: NodeView, node: NodeState, held: Holdings, options: CPUSetOptions = OPTIONS) -> NodeState:
    return view.of(node, options, held, {}, {}, {})


def test_a_second_call_replaces_what_the_first_one_put_in() -> None:
    view = NodeView()
    first = of(view, NODE, HELD)
    assert first.exclusive_cpus == {"a": {"main": CPUSet([0])}}
    assert [pool.cpus for pool in first.ls_pools] == ["1-3"]
    assert of(view, first, {}) == NODE


def test_cpus_that_are_only_reserved_are_in_no_pool_and_nobody_has_them_yet() -> None:
    coming: Holdings = {"a": {"main": Holding(NO_CPUS, coming=CPUSet([1]))}}
    node = of(NodeView(), NODE, coming)
    assert node.exclusive_cpus == {}
    assert [pool.cpus for pool in node.ls_pools] == ["0,2-3"]


def test_the_cpus_of_an_ended_init_container_are_in_no_pool_and_nobody_has_them() -> None:
    node = of(NodeView(), NODE, {"a": {"init": Holding(CPUSet([0]), spent=True)}})
    assert node.exclusive_cpus == {}
    assert [pool.cpus for pool in node.ls_pools] == ["1-3"]


def test_what_is_remembered_of_a_pod_follows_its_holdings_and_the_usable_cpus() -> None:
    view = NodeView()
    of(view, NODE, HELD)
    more: Holdings = {"a": {"main": Holding(CPUSet([0, 1]))}}
    assert of(view, NODE, more).exclusive_cpus == {"a": {"main": CPUSet([0, 1])}}
    narrowed = replace(NODE, pods_cpus=CPUSet([1, 2]))
    assert of(view, narrowed, more).exclusive_cpus == {"a": {"main": CPUSet([1])}}


@pytest.mark.parametrize(("isolated", "left"), [("share", "1-3"), ("own", "1-2"), ("leave", "1-2")])
def test_isolated_cpus_are_in_the_pools_only_where_the_policy_shares_them(isolated: str, left: str) -> None:
    node = of(NodeView(), replace(NODE, isolated_cpus=CPUSet([3])), HELD, CPUSetOptions(isolated_cpus=isolated))  # type: ignore[arg-type]
    assert [pool.cpus for pool in node.ls_pools] == [left]


def test_without_a_topology_only_the_reasons_are_passed_on() -> None:
    unknown, lacking = NodeState(), {"a": {"main": "there is no topology"}}
    assert NodeView().of(unknown, OPTIONS, HELD, {}, {}, {}) is unknown
    assert NodeView().of(unknown, OPTIONS, HELD, {}, {}, lacking) == replace(unknown, no_exclusive_cpus=lacking)


def test_everything_that_somebody_has_is_taken() -> None:
    node = replace(
        NODE,
        topology=Topology.regular(1, 1, 10, 1),
        reserved_cpus=CPUSet([4]),
        kubelet_reserved=CPUSet([5]),
        kubelet_cpus=CPUSet([6]),
        system_cpus="7",
        system_exclusive=True,
    )
    held: Holdings = {"a": {"r": Holding(CPUSet([0])), "e": Holding(CPUSet([1]), lse=True, coming=CPUSet([2]))}}
    taken = taken_cpus(node, held, {"b": (CPUSet([3]), True)}, {"c": {"main": CPUSet([8])}})
    assert (taken.own, taken.lse) == (CPUSet([0, 1, 2, 3]), CPUSet([1, 2, 3]))
    assert (taken.reserved, taken.node) == (CPUSet([4, 5]), CPUSet([6, 7, 8]))
    shared = replace(node, system_exclusive=False)
    assert taken_cpus(shared, {}, {}, {}).node == CPUSet([6])
