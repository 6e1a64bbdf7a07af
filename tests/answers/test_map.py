"""GET /v1/map: who owns each CPU, and what the others are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.answers.map import LETTERS, OTHERS, STATES, drawn
from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet, NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.node import Pool
from koordnri.model.topology import CPU, Topology
from tests.support.pods import pod

NODE = NodeState(name="n", topology=Topology.regular(2, 1, 2, 2))
"""CPUs 0 and 4, 1 and 5 on socket 0; 2 and 6, 3 and 7 on socket 1"""


def cpus(text: str) -> CPUSet:
    return CPUSet.parse(text)


def sets(shape: Any) -> dict[str, str]:
    return {state: listed for state, listed in shape["sets"].items() if listed}


def test_a_node_where_nothing_is_taken_is_shared_by_all() -> None:
    shape = drawn(NODE, [])
    assert (shape["node"], shape["owners"], shape["pools"], sets(shape)) == ("n", [], [], {"shared": "0-7"})


def test_cpus_come_in_the_order_of_their_places() -> None:
    assert [c["cpu"] for c in drawn(NODE, [])["cpus"]] == [0, 4, 1, 5, 2, 6, 3, 7]
    assert drawn(NODE, [])["cpus"][-1] == {
        "cpu": 7,
        "core": 3,
        "l3": 1,
        "numa": 1,
        "socket": 1,
        "state": "shared",
        "owners": [],
    }


def test_exclusive_cpus_have_their_container_and_the_rest_is_the_pool() -> None:
    node = replace(
        NODE,
        exclusive_cpus={"uid-web": {"main": cpus("1,5")}},
        ls_pools=(Pool(0, 0, "0,4"), Pool(1, 1, "2-3,6-7")),
        be_pools=(Pool(0, 0, "0-1,4-5"),),
    )
    shape = drawn(node, [pod("LSR", name="web")])
    assert shape["owners"] == [
        {
            "letter": "A",
            "pod": "shop/web",
            "container": "main",
            "class": "LSR",
            "by": "koordnri",
            "cpus": "1,5",
            "coming": "",
        }
    ]
    assert sets(shape) == {"owned": "1,5", "shared": "0,2-4,6-7"}
    assert [(c["state"], c["owners"]) for c in shape["cpus"] if c["core"] == 1] == [("owned", [0])] * 2
    assert shape["pools"][0] == {"class": "LS", "socket": 0, "node": 0, "cpus": "0,4"}
    assert [pool["class"] for pool in shape["pools"]] == ["LS", "LS", "BE"]


def test_cpus_that_others_have_yet_to_leave_are_owned() -> None:
    node = replace(NODE, exclusive_cpus={"uid-web": {"main": cpus("1")}})
    held = {
        "uid-web": {"main": Holding(cpus("1"), coming=cpus("5"))},
        "uid-db": {"db": Holding(cpus(""), coming=cpus("2"))},
    }
    shape = drawn(node, [pod("LSR", name="web"), pod("LSR", name="db")], held)
    assert [(o["pod"], o["cpus"], o["coming"]) for o in shape["owners"]] == [
        ("shop/db", "", "2"),
        ("shop/web", "1", "5"),
    ]
    assert sets(shape)["owned"] == "1-2,5"


def test_each_owner_says_who_chose_its_cpus() -> None:
    node = replace(
        NODE,
        exclusive_cpus={"uid-a": {"main": cpus("0")}},
        dra_cpus={"uid-c": {"main": cpus("2")}},
        kubelet_cpus=cpus("3-4"),
    )
    assigned = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "1"}'}, name="b")
    shape = drawn(node, [pod("LSR", name="a"), assigned, pod("LSR", name="c")], pins={("uid-d", "main"): cpus("3")})
    assert [(o["letter"], o["pod"], o["container"], o["by"], o["cpus"]) for o in shape["owners"]] == [
        ("A", "shop/a", "main", "koordnri", "0"),
        ("B", "shop/b", "", "koord-scheduler", "1"),
        ("C", "shop/c", "main", "DRA driver", "2"),
        ("D", "uid-d", "main", "kubelet", "3"),
    ]
    assert sets(shape) == {"owned": "0-3", "kubelet": "4", "shared": "5-7"}


def test_a_second_sandbox_of_a_pod_is_not_a_second_owner() -> None:
    first = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "1"}'}, name="b")
    second = pod("LSR", annotations={RESOURCE_STATUS.key: '{"cpuset": "1"}'}, name="b")
    second.id = "b2"
    assert len(drawn(NODE, [first, second])["owners"]) == 1


def test_a_cpu_with_two_owners_is_shown_as_such() -> None:
    node = replace(NODE, exclusive_cpus={"uid-a": {"main": cpus("0-1")}, "uid-b": {"main": cpus("1-2")}})
    shape = drawn(node, [pod("LSR", name="a"), pod("LSR", name="b")])
    assert sets(shape) == {"owned": "0,2", "several": "1", "shared": "3-7"}
    assert [c["owners"] for c in shape["cpus"] if c["cpu"] == 1] == [[0, 1]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reserved_cpus": cpus("0"), "kubelet_reserved": cpus("1")}, {"reserved": "0-1", "shared": "2-7"}),
        ({"system_cpus": "0-1"}, {"system": "0-1", "shared": "2-7"}),
        ({"system_cpus": "0-1", "system_exclusive": False}, {"shared": "0-7"}),
        ({"isolated_cpus": cpus("7")}, {"isolated": "7", "shared": "0-6"}),
        ({"isolated_cpus": cpus("7"), "ls_pools": (Pool(0, 0, "0-7"),)}, {"shared": "0-7"}),
        ({"pods_cpus": cpus("1-7")}, {"shared": "1-7", "unused": "0"}),
        ({"ls_pools": (Pool(0, 0, "0-3"),)}, {"shared": "0-3", "unused": "4-7"}),
        ({"offline_cpus": cpus("8-9")}, {"shared": "0-7", "offline": "8-9"}),
    ],
)
def test_what_nobody_owns(changes: dict[str, Any], expected: dict[str, str]) -> None:
    shape = drawn(replace(NODE, **changes), [])
    assert sets(shape) == expected
    assert set(shape["sets"]) == set(STATES)


def test_pools_that_would_be_empty_are_named() -> None:
    assert drawn(replace(NODE, empty_pools=("LS",)), [])["emptyPools"] == ["LS"]


def test_a_node_without_a_topology_has_no_cpus() -> None:
    shape = drawn(NodeState(exclusive_cpus={"uid-a": {"main": cpus("0")}}), [pod("LSR", name="a")])
    assert (shape["cpus"], sets(shape), shape["owners"][0]["cpus"]) == ([], {}, "0")


def test_letters_are_all_different_and_owners_beyond_them_share_one() -> None:
    assert len(set(LETTERS)) == len(LETTERS)
    count = len(LETTERS) + 2
    topology = Topology.of([CPU(n, n, 0, 0, 0) for n in range(count)])
    owners = {f"uid-{n:03}": {"main": CPUSet([n])} for n in range(count)}
    shape = drawn(NodeState(topology=topology, exclusive_cpus=owners), [])
    assert [o["letter"] for o in shape["owners"]] == [*LETTERS, OTHERS, OTHERS]
