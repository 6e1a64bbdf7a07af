"""CPUs that the policy reserves: which pools are without them, and what is reported where that cannot be."""

import pytest

from koordnri.model.cpuset import CPUSet
from koordnri.model.node import NodeState, Pool
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY, Policy, load_policy, resolve, without_reserved

NODE = NodeState(
    topology=Topology.regular(1, 2, 4, 1),  # CPUs 0-7, 4-7 on NUMA node 1
    ls_pools=(Pool(0, 0, "3,0-2"), Pool(0, 1, "7,4-6")),
    be_pools=(Pool(0, 0, "0-1"), Pool(0, 1, "4-7")),
    system_cpus="0",
    problems=("an old one",),
)


def reserving(cpus):
    return Policy(reserved_cpus=CPUSet.parse(cpus))


@pytest.mark.parametrize("policy", [DEFAULT_POLICY, Policy(reserved_cpus=CPUSet())])
def test_a_policy_that_reserves_nothing_leaves_the_node_itself(policy):
    assert without_reserved(policy, NODE) is NODE


def test_reserved_cpus_leave_the_pools_and_other_pools_keep_their_text():
    node = without_reserved(reserving("0"), NODE)
    assert node.ls_pools == (Pool(0, 0, "1-3"), Pool(0, 1, "7,4-6"))
    assert node.be_pools == (Pool(0, 0, "1"), Pool(0, 1, "4-7"))
    assert node.problems == ("an old one",)


def test_system_pods_keep_their_cpus_and_what_kubelet_reserves_is_joined():
    node = without_reserved(reserving("0"), NodeState(system_cpus="0", reserved_cpus=CPUSet([7])))
    assert node.system_cpus == "0"
    assert node.reserved_cpus == CPUSet([0, 7])


def test_a_pool_of_reserved_cpus_only_stays_and_is_reported():
    node = without_reserved(reserving("0-2,4"), NODE)
    assert node.ls_pools == (Pool(0, 0, "3"), Pool(0, 1, "5-7"))
    assert node.be_pools == (Pool(0, 0, "0-1"), Pool(0, 1, "5-7"))
    assert node.problems == (
        "an old one",
        "reservedCPUs 0-2,4: the BE share pool of NUMA node 0 has no other CPUs and keeps 0-1",
    )


def test_cpus_that_are_not_online_are_reported_and_the_others_count():
    node = without_reserved(reserving("3,8-9"), NODE)
    assert node.ls_pools[0] == Pool(0, 0, "0-2")
    assert node.problems[1:] == ("reservedCPUs 3,8-9: 8-9 are not online; expected CPUs of 0-7",)


def test_an_unknown_topology_and_a_pool_without_cpus_are_no_problem():
    node = without_reserved(reserving("0,9"), NodeState(ls_pools=(Pool(0, 0, ""), Pool(0, 1, "0-1"))))
    assert node.ls_pools == (Pool(0, 0, ""), Pool(0, 1, "1"))
    assert node.problems == ()


def test_problems_stay_short_on_large_nodes():
    odd = ",".join(str(cpu) for cpu in range(1, 8192, 2))
    node = without_reserved(reserving(odd), NodeState(topology=NODE.topology, ls_pools=(Pool(0, 0, odd),)))
    assert node.problems
    assert max(map(len, node.problems)) < 300


def test_what_a_document_reserves_is_what_is_taken_out():
    policy = resolve(load_policy("koordnri-config: {reservedCPUs: 0-1}", ""), "", {})
    assert without_reserved(policy, NODE).ls_pools[0].cpus == "2-3"
