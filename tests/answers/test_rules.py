"""Which rule gave a field its value, with the installed hooks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from koordnri.answers.rules import MOST_TRIED, Rule, rules_of
from koordnri.chain import Chain, ContainerRefused, Snapshot, load_hooks
from koordnri.model import Container, CPUSet, Decision, Event, NodeState, Pod, Resources
from koordnri.model.annotations import MEMORY_QOS_KEY, RESOURCE_STATUS
from koordnri.model.node_annotations import NORMALIZATION_RATIO_KEY
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.qos import QOS_LABEL
from koordnri.model.topology import Topology
from koordnri.policy import Policy
from tests.support.pods import BESTEFFORT, pod
from tests.support.policies import policy_of

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 4, 2))
MIB = 1 << 20
ASKED = Resources(cpu_shares=1024, cpu_quota=100_000, cpu_period=100_000, memory_limit=64 * MIB)
SPEC = PodSpec({"main": ContainerSpec({"memory": "64Mi"}, {"memory": "64Mi"})})
OF_SPEC = ("spec", "resources")
RATIO_4 = {"enable": True, "defaultRatio": 4}
NORMALISED = policy_of(cpu_normalization_config=RATIO_4)


def rules(one: Pod, policy: Policy | None = None, node: NodeState = NODE, asked: Resources = ASKED) -> Any:
    """Field → rules, of a container that runs."""
    chain, container = Chain(load_hooks()), Container("c", "main", one.id, asked)
    snapshot = Snapshot.of(policy or policy_of(), node)
    return rules_of(lambda p, s: chain.decide_container(p, container, Event.SYNC, s), one, snapshot)


def names(found: list[Rule]) -> list[tuple[str, str]]:
    return [(rule.kind, rule.name) for rule in found]


def test_an_annotation_that_gives_a_value_is_its_rule_and_others_are_not() -> None:
    annotations = {RESOURCE_STATUS.key: '{"cpuset": "2,6"}', "team.example/owner": "me"}
    found = rules(pod("LSR", annotations=annotations))
    assert names(found["cpu.cpus"]) == [("annotation", RESOURCE_STATUS.key)]


def qos_policy(**memory: Any) -> Policy:
    return policy_of(resource_qos_config={"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": True, **memory}}}})


SECTION = "resource-qos-config.lsClass.memoryQOS"


def test_a_key_of_the_policy_is_the_rule_of_what_it_gives() -> None:
    found = rules(pod("LS", spec=SPEC), qos_policy(lowLimitPercent=50))
    assert names(found["memory.low"]) == [OF_SPEC, ("policy", f"{SECTION}.lowLimitPercent")]


def test_where_the_policy_only_switches_a_block_on_the_classs_default_is_the_rule() -> None:
    anolis = replace(NODE, cgroup_files=NODE.cgroup_files | {"memory.wmark_ratio"})
    found = rules(pod("LS"), qos_policy(lowLimitPercent=50), anolis)
    assert names(found["memory.wmark_ratio"]) == [("class default", SECTION)]
    burst = rules(pod("LS"), policy_of(cpu_burst_config={"clusterStrategy": {"policy": "cpuBurstOnly"}}))
    assert names(burst["cpu.burst"]) == [("policy", "cpu-burst-config.policy")]


def test_an_annotation_over_the_policy_leaves_both_as_rules_where_both_count() -> None:
    found = rules(
        pod("LS", annotations={MEMORY_QOS_KEY: '{"lowLimitPercent": 100}'}, spec=SPEC), qos_policy(minLimitPercent=50)
    )
    assert names(found["memory.low"]) == [("annotation", MEMORY_QOS_KEY), OF_SPEC]
    assert names(found["memory.min"]) == [OF_SPEC, ("policy", f"{SECTION}.minLimitPercent")]


def test_the_label_is_a_rule_where_another_class_would_get_another_value() -> None:
    policy = policy_of(
        resource_qos_config={"clusterStrategy": {"beClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}}
    )
    found = rules(pod("BE", labels={"app": "x"}, spec=SPEC), policy)
    assert ("label", QOS_LABEL) in names(found["memory.min"])
    assert ("label", "app") not in names(found["memory.min"])
    burstable = rules(pod("LS", spec=SPEC), qos_policy(minLimitPercent=50))
    assert ("label", QOS_LABEL) not in names(burstable["memory.min"]), "without it, it is LS all the same"


def test_the_node_strategy_is_named() -> None:
    text = {"nodeConfigs": [{"name": "fast", "nodeSelector": {"matchLabels": {"cpu": "fast"}}, **RATIO_4}]}
    found = rules(pod("LS"), policy_of({"cpu": "fast"}, "n", cpu_normalization_config=text))
    assert Rule("policy", "cpu-normalization-config.defaultRatio", "fast") in found["cpu.quota"]


def test_a_ratio_of_the_policy_is_its_rule_and_one_of_the_node_is_the_nodes() -> None:
    by_policy = rules(pod("LS"), NORMALISED)
    assert names(by_policy["cpu.quota"]) == [("policy", "cpu-normalization-config.defaultRatio")]
    annotated = replace(NODE, annotations={NORMALIZATION_RATIO_KEY: "2"}, normalization_ratio=Fraction(2))
    by_node = rules(pod("LS"), NORMALISED, annotated)
    assert names(by_node["cpu.quota"]) == [("node", f"annotation {NORMALIZATION_RATIO_KEY}")]


def test_exclusive_cpus_are_a_fact_of_the_node() -> None:
    node = replace(NODE, exclusive_cpus={"uid-web": {"main": CPUSet([1, 5])}, "uid-other": {"main": CPUSet([2])}})
    found = rules(pod("LSR"), node=node)
    assert ("node", "exclusive CPUs") in names(found["cpu.cpus"])
    assert ("node", "exclusive CPUs") in names(found["cpu.quota"])


def test_batch_resources_of_the_spec_are_a_rule() -> None:
    batch = {"kubernetes.io/batch-cpu": "500", "kubernetes.io/batch-memory": "64Mi"}
    spec = PodSpec({"main": ContainerSpec(batch, batch)})
    found = rules(pod("BE", BESTEFFORT, spec=spec), asked=Resources(cpu_shares=2, cpu_quota=-1, cpu_period=100_000))
    assert ("spec", "resources") in names(found["cpu.quota"])


def test_a_trial_that_would_refuse_the_container_says_nothing() -> None:
    decided = Chain(load_hooks()).decide_container(
        pod("LS"), Container("c", "main", "web", ASKED), Event.SYNC, Snapshot.of(NORMALISED, NODE)
    )

    def decide(one: Pod, snapshot: Snapshot) -> Decision:
        if snapshot.policy is NORMALISED:
            return decided
        raise ContainerRefused("no", decided)

    assert rules_of(decide, pod("LS"), Snapshot.of(NORMALISED, NODE)) == {name: [] for name in decided.settings}


@pytest.mark.parametrize("policy", [policy_of(), NORMALISED])
def test_every_decided_field_has_an_entry(policy: Policy) -> None:
    chain, container = Chain(load_hooks()), Container("c", "main", "web", ASKED)
    decided = chain.decide_container(pod("LS"), container, Event.SYNC, Snapshot.of(policy, NODE))
    assert rules(pod("LS"), policy).keys() == decided.settings.keys()


def test_of_a_pod_with_very_many_annotations_those_of_koordinator_are_tried() -> None:
    many = {f"a-{n}": "" for n in range(10 * MOST_TRIED)}
    found = rules(pod("LSR", annotations={**many, RESOURCE_STATUS.key: '{"cpuset": "2,6"}'}))
    assert names(found["cpu.cpus"]) == [("annotation", RESOURCE_STATUS.key)]


def test_of_very_many_annotations_not_all_are_tried() -> None:
    tried: list[Pod] = []

    def decide(one: Pod, snapshot: Snapshot) -> Decision:
        tried.append(one)
        return Decision()

    rules_of(decide, pod(annotations={f"a-{n}": "" for n in range(10 * MOST_TRIED)}), Snapshot.of(policy_of(), NODE))
    assert len(tried) == 1 + MOST_TRIED
