"""Parts of a policy that have no effect are reported: on any node, and on one whose kernel has no means for them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import NodeState
from koordnri.model.node import Resctrl
from koordnri.model.topology import Topology
from koordnri.policy import load_policy, resolve
from koordnri.policy.effects import policy_warnings, without_effect_on
from tests.support.policies import policy_of

THRESHOLD, QOS, BURST = "resource-threshold-config", "resource-qos-config", "cpu-burst-config"
OURS = "koordnri-config"
SYSTEM, APPLICATIONS, RATIO = "system-config", "host-application-config", "cpu-normalization-config"
V1 = NodeState(cgroup_version=1, cgroup_files=frozenset())
CPU_A = "Example CPU A @ 2.40GHz"


def disk(**config: int) -> dict[str, Any]:
    return {"enable": True, "blocks": [{"name": "/dev/sda", "ioCfg": config}]}


def warned(key: str, **strategy: Any) -> list[str]:
    """Paths of what is warned of in a cluster strategy."""
    inline = key in (APPLICATIONS, RATIO)
    data = {key: json.dumps(strategy if inline else {"clusterStrategy": strategy})}
    return [warning.path for warning in load_policy(json.dumps(data), "test").warnings]


@pytest.mark.parametrize(
    ("key", "strategy", "paths"),
    [
        (THRESHOLD, {"enable": True, "cpuSuppressPolicy": "cfsQuota"}, []),
        (THRESHOLD, {"enable": False, "cpuSuppressThresholdPercent": 60}, []),
        (QOS, {"policies": {"cpuPolicy": "coreSched"}}, ["policies.cpuPolicy"]),
        (QOS, {"policies": {"cpuPolicy": "groupIdentity", "netQOSPolicy": "tc"}}, []),
        (OURS, {"trust": {"mode": "off", "resourceStatus": {"namespaces": ["shop"]}}}, ["trust"]),
        (OURS, {"trust": {"mode": "off"}}, []),
        (OURS, {"trust": {"mode": "off", "injection": {"devices": {"namespaces": ["shop"]}}}}, []),
        (QOS, {"policies": {"netQOSPolicy": "terway-qos"}}, []),
        (QOS, {"policies": {"netQOSPolicy": "terway-qos"}, "lsClass": {"networkQOS": {"enable": True}}}, []),
        (QOS, {"policies": {"netQOSPolicy": "terway-qos"}, "lsrClass": {"networkQOS": {"enable": True}}}, ["lsrClass.networkQOS"]),
        (QOS, {"cgroupRoot": {"networkQOS": {"enable": True}}}, ["cgroupRoot.networkQOS"]),
        (QOS, {"lsClass": {"networkQOS": {"enable": True}}}, ["lsClass.networkQOS"]),
        (QOS, {"lsClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}, ["lsClass.cpuQOS.schedIdle"]),
        (QOS, {"lsClass": {"cpuQOS": {"enable": False, "schedIdle": 1}}}, []),
        (QOS, {"beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}, []),
        (QOS, {"systemClass": {"cpuQOS": {"enable": True}}}, ["systemClass.cpuQOS"]),
        (QOS, {"systemClass": {"resctrlQOS": {"enable": True}}}, ["systemClass.resctrlQOS"]),
        (QOS, {"cgroupRoot": {"memoryQOS": {"enable": True}}}, ["cgroupRoot.memoryQOS"]),
        (QOS, {"lsClass": {"blkioQOS": {"enable": True, "blocks": [{"name": "/dev/sda"}]}}}, ["lsClass.blkioQOS"]),
        (QOS, {"beClass": {"blkioQOS": disk(readLatency=5, readIOPS=5)}}, ["beClass.blkioQOS.blocks[0].ioCfg.readLatency"]),
        (QOS, {"cgroupRoot": {"blkioQOS": disk(readLatency=5, readIOPS=5)}}, ["cgroupRoot.blkioQOS.blocks[0].ioCfg.readIOPS"]),
        (BURST, {"policy": "auto"}, []),
        (BURST, {"policy": "cfsQuotaBurstOnly"}, []),
        (BURST, {"policy": "cpuBurstOnly"}, []),
        (SYSTEM, {"minFreeKbytesFactor": 100, "schedFeatures": {"a": True}}, []),
        (SYSTEM, {"totalNetworkBandwidth": "10G"}, []),
        (APPLICATIONS, {"applications": [{"name": "nginx", "qos": "LS"}, {"name": "none"}]}, ["applications[1]"]),
        (APPLICATIONS, {"applications": []}, []),
        (RATIO, {"enable": True, "defaultRatio": 0.5}, ["defaultRatio"]),
        (RATIO, {"ratioModel": {"m": {"baseRatio": 6, "turboEnabledRatio": 5}}}, ["ratioModel.m.baseRatio"]),
    ],
)  # fmt: skip
def test_what_has_no_effect_on_any_node_is_reported_with_its_path(key, strategy, paths):
    assert warned(key, **strategy) == [f"{key}.{path}" for path in paths]


def test_a_node_strategy_is_warned_of_for_what_it_adds_alone():
    network = {"networkQOS": {"enable": True}}
    nodes = [
        {"nodeSelector": {"matchLabels": {"a": "b"}}},
        {"nodeSelector": {"matchLabels": {"a": "c"}}, "beClass": network},
    ]
    data = {QOS: json.dumps({"clusterStrategy": {"lsClass": network}, "nodeStrategies": nodes})}
    found = [warning.path for warning in load_policy(json.dumps(data), "test").warnings]
    assert found == [f"{QOS}.lsClass.networkQOS", f"{QOS}.nodeStrategies[1].beClass.networkQOS"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{QOS}: |\n  clusterStrategy:\n    beClass: {{}}", "no JSON"),
        (f"{QOS}: '{{\"beClass\": {{}}}}'", 'outside of clusterStrategy, "beClass" here'),
        (f"{QOS}: {{clusterStrategy: {{beClass: {{}}}}}}", ""),
        (f'{QOS}: \'{{"clusterStrategy": {{"beClass": {{}}}}}}\'', ""),
        ("koordnri-config: |\n  recordRoute: none", ""),
        (f"{RATIO}: '{{\"enable\": true}}'", ""),
    ],
)
def test_what_koord_manager_ignores_or_refuses_is_reported(text, why):
    warnings = [str(warning) for warning in load_policy(text, "test").warnings]
    assert [why in warning for warning in warnings] == ([True] if why else [])


def on(node: NodeState, **sections: Any) -> list[str]:
    return without_effect_on(policy_of(**sections), node)


CPU = {"enable": True, "groupIdentity": -1, "schedIdle": 1}
MEMORY = {"enable": True, "minLimitPercent": 20, "wmarkRatio": 80, "priority": 3}


@pytest.mark.parametrize("mode", ["observe", "off"])
@pytest.mark.parametrize("policy", ["auto", "cfsQuotaBurstOnly"])
def test_quota_burst_that_is_asked_for_and_switched_off_is_reported(mode, policy):
    controllers = {"koordnri_config": {"controllers": {"quotaBurst": {"mode": mode}}}}
    [found] = on(NodeState(), cpu_burst_config={"policy": policy}, **controllers)
    assert (
        found == f"cpu-burst-config.policy: no quota is raised: mode {mode} of koordnri-config.controllers.quotaBurst"
    )
    assert on(NodeState(), cpu_burst_config={"policy": "cpuBurstOnly"}, **controllers) == []


def test_what_this_kernel_cannot_do_is_reported_and_the_rest_is_not():
    qos = {"clusterStrategy": {"beClass": {"cpuQOS": CPU, "memoryQOS": MEMORY}}}
    paths = [
        warning.partition(":")[0].removeprefix(f"{QOS}.beClass.")
        for warning in on(NodeState(), resource_qos_config=qos)
    ]
    assert paths == ["cpuQOS.groupIdentity", "memoryQOS.wmarkRatio", "memoryQOS.priority"]
    paths = [warning.partition(":")[0].removeprefix(f"{QOS}.beClass.") for warning in on(V1, resource_qos_config=qos)]
    assert paths == [
        "cpuQOS.groupIdentity",
        "cpuQOS.schedIdle",
        "memoryQOS.minLimitPercent",
        "memoryQOS.wmarkRatio",
        "memoryQOS.priority",
    ]
    assert on(V1, cpu_burst_config={"policy": "cpuBurstOnly"}) == [
        "cpu-burst-config.policy: has no effect on this node: its kernel (cgroup v1) has no cpu.burst"
    ]


def test_the_defaults_of_an_enabled_class_are_nobodys_wish():
    assert on(NodeState(), resource_qos_config={"lsClass": {"memoryQOS": {"enable": True}}}) == []


def test_resctrl_that_is_not_there_is_reported():
    qos = {"lsClass": {"resctrlQOS": {"enable": True}}}
    (warning,) = on(NodeState(), resource_qos_config=qos)
    assert "no resctrl" in warning
    has = Resctrl("intel", 0xFF, 8, (0,), frozenset({"LS"}))
    assert on(replace(NodeState(), resctrl=has), resource_qos_config=qos) == []


RATIOS = {"enable": True, "ratioModel": {CPU_A: {"baseRatio": 1.25, "hyperThreadEnabledRatio": 0.85}}}
SMT, PLAIN = Topology.regular(1, 1, 2, 2), Topology.regular(1, 1, 2, 1)


def test_a_ratio_out_of_range_is_refused_only_where_a_node_selects_it():
    policy = policy_of(**{RATIO: RATIOS})
    plain = NodeState(cpu_model=CPU_A, topology=PLAIN)
    assert float(policy.normalization.ratio_of(plain)) == 1.25
    assert without_effect_on(policy, plain) == []
    smt = replace(plain, topology=SMT)
    assert policy.normalization.ratio_of(smt) is None
    (warning,) = without_effect_on(policy, smt)
    assert warning.startswith(f"{RATIO}.ratioModel.{CPU_A}.hyperThreadEnabledRatio: expected 1..5, got 0.85")
    assert "refused on this node" in warning


def test_all_warnings_of_a_policy_in_force_are_reported_once_each():
    document = load_policy(json.dumps({RATIO: RATIOS, "strange": {}}), "test")
    smt = NodeState(cpu_model=CPU_A, topology=SMT)
    found = policy_warnings(document, resolve(document, "", {}), smt)
    assert len(found) == len(set(found)) == 3
    assert policy_warnings(None, resolve(None, "", {}), smt) == ()


def test_a_scheduler_feature_that_this_kernel_lacks_is_reported_by_name():
    policy = policy_of(system_config={"clusterStrategy": {"schedFeatures": {"NEW": True, "HRTICK": True}}})
    files = frozenset({"/sys/kernel/debug/sched/features"})
    node = NodeState(root_files=files, sched_features=frozenset({"HRTICK"}))
    [warning] = without_effect_on(policy, node)
    assert warning.startswith("system-config.schedFeatures.NEW: has no effect on this node")
    [warning] = without_effect_on(policy, NodeState(root_files=frozenset()))
    assert warning.endswith("--write sysctls")


def test_a_network_class_is_of_cgroup_v1_and_terways_files_take_a_right():
    tc = policy_of(resource_qos_config={"clusterStrategy": {"beClass": {"networkQOS": {"enable": True}}}})
    [warning] = without_effect_on(tc, NodeState())
    assert warning.startswith(
        "resource-qos-config.beClass.networkQOS: has no effect on this node: its kernel (cgroup v2)"
    )
    assert without_effect_on(tc, replace(V1, cgroup_files=frozenset({"net_cls/net_cls.classid"}))) == []
    terway = policy_of(resource_qos_config={"clusterStrategy": {"policies": {"netQOSPolicy": "terway-qos"}}})
    [warning] = without_effect_on(terway, NodeState(block_devices={}))
    assert warning.endswith("--write terway")
    assert without_effect_on(terway, NodeState(block_devices={}, writes=frozenset({"terway"}))) == []


@pytest.mark.parametrize(
    ("threshold", "cpus", "warns"),
    [
        ({"enable": True}, 4, False),
        ({"enable": True}, 2, True),
        ({"enable": True, "cpuSuppressPolicy": "cfsQuota"}, 2, False),
        ({"enable": False}, 2, False),
    ],
)
def test_suppression_that_can_restrict_nobody_is_reported(threshold, cpus, warns):
    policy = policy_of(resource_threshold_config=threshold)
    found = without_effect_on(policy, NodeState(topology=Topology.regular(1, 1, cpus, 1)))
    assert ["cpuset has no effect on this node" in text for text in found] == [True] * warns
