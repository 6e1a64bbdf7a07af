"""GET /v1/status: how many CPUs are exclusive and shared. The rest of it is tested with its command."""

from __future__ import annotations

from dataclasses import replace

from koordnri.answers.cpu_owners import CPUOwner
from koordnri.answers.status import numbers_of_cpus
from koordnri.model import CPUSet, NodeState
from koordnri.model.node import Pool
from koordnri.model.topology import Topology

NODE = NodeState(topology=Topology.regular(1, 1, 4, 2))


def owner(name: str, cpus: str) -> CPUOwner:
    return CPUOwner(f"shop/{name}", "main", CPUSet.parse(cpus), "koordnri")


def test_without_pools_all_cpus_are_shared() -> None:
    assert numbers_of_cpus(NODE, []) == {"exclusive": 0, "shared": 8}


def test_cpus_of_a_pool_and_of_owners_are_counted_once() -> None:
    node = replace(NODE, ls_pools=(Pool(0, 0, "0-1"), Pool(0, 1, "4-5")), be_pools=(Pool(0, 0, "0-5"),))
    assert numbers_of_cpus(node, [owner("one", "2-3"), owner("other", "3,6")]) == {"exclusive": 3, "shared": 4}


def test_what_is_not_known_is_left_out() -> None:
    assert numbers_of_cpus(NodeState(), [owner("one", "2-3")]) == {}
    assert numbers_of_cpus(replace(NODE, ls_pools=(Pool(0, 0, "all"),)), []) == {"exclusive": 0}
