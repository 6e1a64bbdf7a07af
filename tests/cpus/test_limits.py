"""How many exclusive CPUs a node and a namespace may have, and who may have any."""

from __future__ import annotations

import pytest

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import create
from koordnri.cpus.holding import Holding
from koordnri.cpus.room import NotEnough
from koordnri.model import Container, CPUSet, Pod
from koordnri.policy.trust_options import NO_LIMITS, ExclusiveTrust
from tests.cpus.one_allocator import ALL_MAY_GO, NODE, whole
from tests.support.pods import pod
from tests.support.policies import policy_of


def owner(name: str, namespace: str = "shop") -> Pod:
    one = pod("LSR", name=name)
    one.namespace = namespace
    return one


def give(allocator: Allocator, one: Pod, cpus: int, limits: ExclusiveTrust, name: str = "main") -> int:
    holding = allocator.give(one, name, whole(cpus), NODE, ALL_MAY_GO, limits)
    return 0 if holding is None else len(holding.cpus)


def test_a_node_has_no_more_exclusive_cpus_than_the_policy_allows():
    allocator, limits = Allocator(), ExclusiveTrust(max_exclusive=5)
    assert give(allocator, owner("a"), 4, limits) == 4
    with pytest.raises(NotEnough, match=r"the node may have 5 \(trust.exclusiveCPUs.maxExclusive\), and has 4"):
        give(allocator, owner("b"), 2, limits)
    assert give(allocator, owner("b"), 1, limits) == 1


def test_a_namespace_has_no_more_than_its_share_and_takes_none_of_others():
    allocator, limits = Allocator(), ExclusiveTrust(max_per_namespace=2)
    assert give(allocator, owner("a"), 2, limits) == 2
    with pytest.raises(NotEnough, match=r"namespace shop on this node may have 2 .*, and has 2"):
        give(allocator, owner("b"), 1, limits)
    assert give(allocator, owner("c", "bank"), 2, limits) == 2
    allocator.forget_pod("uid-a")
    assert give(allocator, owner("b"), 2, limits) == 2


def test_a_container_that_is_created_again_keeps_its_cpus_under_a_lower_limit():
    allocator = Allocator()
    assert give(allocator, owner("a"), 4, NO_LIMITS) == 4
    assert give(allocator, owner("a"), 4, ExclusiveTrust(max_exclusive=2)) == 4


def test_a_running_container_grows_up_to_the_limit():
    allocator, limits, one = Allocator(), ExclusiveTrust(max_exclusive=3), owner("a")
    give(allocator, one, 2, limits)
    assert allocator.promote(one, "main", whole(3), NODE, ALL_MAY_GO, limits)
    with pytest.raises(NotEnough):
        allocator.promote(one, "main", whole(4), NODE, ALL_MAY_GO, limits)


def test_namespaces_are_known_after_a_restart_and_in_a_copy():
    allocator = Allocator()
    allocator.restore({"uid-a": {"main": Holding(CPUSet.parse("0-1"))}}, {"uid-a": "shop", "uid-b": "shop"})
    with pytest.raises(NotEnough, match="and has 2"):
        give(allocator.copy(), owner("b"), 1, ExclusiveTrust(max_per_namespace=2))


def test_only_listed_namespaces_get_any():
    trust = {"exclusiveCPUs": {"namespaces": ["bank"]}}
    snapshot = Snapshot.of(policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}), NODE)
    pods = [snapshot.believed(owner("a")), snapshot.believed(owner("b", "bank"))]
    made = create([(one, [Container(one.name, "main", one.id, whole(2))]) for one in pods], snapshot, Allocator())
    assert {key: len(of_pod["main"]) for key, of_pod in made.given.items()} == {"uid-b": 2}
    assert made.snapshot.node.no_exclusive_cpus["uid-a"]["main"] == str(pods[0].verdicts[0])
    assert str(pods[0].verdicts[0]).startswith("exclusive CPUs by the label koordinator.sh/qosClass: LSR not believed")
