"""What a NodeResourceTopology says of a node."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koordnri.kube.topology_shapes import Described, PodCPUs, for_koordinator, zones
from koordnri.model import CPUSet, NodeState
from koordnri.model.node import Pool
from koordnri.model.topology import Topology

TOPOLOGY = Topology.regular(1, 2, 2, 2)
"""NUMA node 0: CPUs 0,1,4,5; NUMA node 1: CPUs 2,3,6,7"""
ALL = TOPOLOGY.online
NODE = NodeState(name="n", topology=TOPOLOGY, cpu_model="Fast CPU", reserved_cpus=CPUSet([0]))
OURS = PodCPUs("shop", "a", "uid-a", CPUSet([1, 5]))
SCHEDULERS = PodCPUs("shop", "b", "uid-b", CPUSet([2]), by_scheduler=True)
IT = Described(
    NODE, "uid-n", TOPOLOGY, ALL - CPUSet([0]), ALL, (OURS, SCHEDULERS), {0: {"memory": 8}}, {0: (10, 21), 1: (21, 10)}
)


def resources(zone: Any) -> dict[str, tuple[str, str, str]]:
    """name → capacity, allocatable, available"""
    return {one["name"]: (one["capacity"], one["allocatable"], one["available"]) for one in zone["resources"]}


def test_zones_have_what_is_left_for_exclusive_use() -> None:
    found = zones(IT)
    assert (found.version, found.node_uid, found.annotations) == ("v1alpha2", "uid-n", {})
    first, second = found.content["zones"]
    assert [(zone["name"], zone["type"]) for zone in (first, second)] == [("node-0", "Node"), ("node-1", "Node")]
    assert resources(first) == {"cpu": ("4", "3", "1"), "memory": ("8", "8", "8")}
    assert resources(second) == {"cpu": ("4", "4", "3")}


def test_what_kubelet_pinned_is_not_left() -> None:
    it = IT._replace(node=replace(NODE, kubelet_cpus=CPUSet([3, 7])))
    assert resources(zones(it).content["zones"][1])["cpu"] == ("4", "4", "1")


def test_zones_say_how_far_they_are_and_what_kubelet_aligns() -> None:
    content = zones(IT._replace(policy="restricted", scope="pod")).content
    assert [[cost["value"] for cost in zone["costs"]] for zone in content["zones"]] == [[10, 21], [21, 10]]
    assert content["attributes"] == [
        {"name": "topologyManagerPolicy", "value": "restricted"},
        {"name": "topologyManagerScope", "value": "pod"},
    ]


def test_distances_that_do_not_fit_are_left_out() -> None:
    assert "costs" not in zones(IT._replace(distances={0: (10, 21, 30)})).content["zones"][0]


def annotations(it: Described) -> dict[str, Any]:
    found = for_koordinator(it)
    assert found.version == "v1alpha1"
    return {key.partition("/")[2]: json.loads(text) for key, text in found.annotations.items()}


def test_koordinator_gets_the_topology_and_subtracts_itself() -> None:
    content = for_koordinator(IT).content
    assert content["topologyPolicies"] == ["None"]
    assert [resources(zone)["cpu"] for zone in content["zones"]] == [("4", "4", "4")] * 2
    found = annotations(IT)
    assert found["cpu-topology"]["detail"][5] == {"id": 5, "core": 1, "socket": 0, "node": 0}
    assert found["cpu-basic-info"] == {"cpuModel": "Fast CPU", "hyperThreadEnabled": True, "turboEnabled": False}
    assert found["reservation"] == {"reservedCPUs": "0"}
    assert found["cpu-manager-policy"] == {"policy": "none", "reservedCPUs": ""}
    assert "system-qos-resource" not in found


def test_koordinator_learns_of_cpus_that_its_scheduler_did_not_assign() -> None:
    taken = {"namespace": "shop", "name": "a", "uid": "uid-a", "cpuset": "1,5", "managedByKubelet": True}
    assert annotations(IT)["pod-cpu-allocs"] == [taken]


def test_koordinator_gets_the_pools_of_the_node_or_all_its_cpus() -> None:
    whole = [{"socket": 0, "node": 0, "cpuset": "0-1,4-5"}, {"socket": 0, "node": 1, "cpuset": "2-3,6-7"}]
    assert (annotations(IT)["cpu-shared-pools"], annotations(IT)["be-cpu-shared-pools"]) == (whole, whole)
    node = replace(NODE, ls_pools=(Pool(0, 1, "3,6-7"),), be_pools=(Pool(0, 0, "4"),))
    found = annotations(IT._replace(node=node))
    assert found["cpu-shared-pools"] == [{"socket": 0, "node": 1, "cpuset": "3,6-7"}]
    assert found["be-cpu-shared-pools"] == [{"socket": 0, "node": 0, "cpuset": "4"}]


def test_koordinator_learns_of_system_cpus() -> None:
    found = annotations(IT._replace(node=replace(NODE, system_cpus="0-1", system_exclusive=False)))
    assert found["system-qos-resource"] == {"cpuset": "0-1", "cpusetExclusive": False}


@pytest.mark.parametrize(
    ("policy", "scope", "expected"),
    [
        ("none", "pod", "None"),
        ("best-effort", "container", "BestEffortContainerLevel"),
        ("restricted", "pod", "RestrictedPodLevel"),
        ("single-numa-node", "pod", "SingleNUMANodePodLevel"),
    ],
)
def test_koordinator_reads_kubelets_alignment_in_one_word(policy: str, scope: str, expected: str) -> None:
    assert for_koordinator(IT._replace(policy=policy, scope=scope)).content["topologyPolicies"] == [expected]
