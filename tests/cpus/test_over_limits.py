"""Limits of exclusive CPUs that are only observed: what they would have refused."""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import create
from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.over_limits import over_limits
from koordnri.model import Container, CPUSet, Pod
from koordnri.policy.trust_options import NO_LIMITS, ExclusiveTrust
from tests.cpus.one_allocator import NODE, whole
from tests.support.pods import pod
from tests.support.policies import policy_of

NAMESPACES = {"a": "shop", "b": "shop", "c": "bank"}


def held(**cpus: str) -> Holdings:
    return {key: {"main": Holding(CPUSet.parse(text))} for key, text in cpus.items()}


def over(limits: ExclusiveTrust, **cpus: str) -> Mapping[str, str]:
    return {key: verdict.why for key, verdict in over_limits(held(**cpus), NAMESPACES, limits).items()}


def test_whoever_comes_first_is_within_the_limit_of_the_node():
    why = "container main has 2, with which they are too many: the node may have 3 (trust.exclusiveCPUs.maxExclusive)"
    assert over(ExclusiveTrust(max_exclusive=3), a="0-1", b="2-3", c="4") == {"b": why}
    assert over(ExclusiveTrust(max_exclusive=5), a="0-1", b="2-3", c="4") == {}
    assert over(NO_LIMITS, a="0-7") == {}


def test_the_limit_of_a_namespace_is_each_namespaces_own():
    found = over(ExclusiveTrust(max_per_namespace=2), a="0-1", b="2", c="4-5")
    assert list(found) == ["b"]
    assert found["b"].endswith("namespace shop may have 2 (trust.exclusiveCPUs.maxPerNamespace) on this node")


def test_cpus_of_an_ended_init_container_do_not_count():
    holdings = {
        "a": {"setup": Holding(CPUSet.parse("0-1"), spent=True), "main": Holding(CPUSet.parse("2-3"))},
    }
    assert over_limits(holdings, NAMESPACES, ExclusiveTrust(max_exclusive=2)) == {}


def test_where_limits_are_observed_the_cpus_are_given_and_the_pod_has_a_verdict():
    trust = {"mode": "observe", "exclusiveCPUs": {"maxPerNamespace": 2}}
    snapshot = Snapshot.of(policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}), NODE)
    pods = [snapshot.believed(pod("LSR", name=name)) for name in ("a", "b")]
    made = create([(one, [Container(one.name, "main", one.id, whole(2))]) for one in pods], snapshot, Allocator())
    assert {key: len(of_pod["main"]) for key, of_pod in made.given.items()} == {"uid-a": 2, "uid-b": 2}
    assert made.lacking == {}

    def outcomes(one: Pod) -> list[str]:
        return [f"{verdict.rule} {verdict.outcome}" for verdict in made.snapshot.node.verdicts_of(one)]

    assert [outcomes(one) for one in pods] == [[], ["exclusiveCPUs observed"]]
