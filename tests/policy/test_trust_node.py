"""Trust rules about what concerns the whole node: SYSTEM, resctrl groups of pods, latency targets of disks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.qos import QOS_LABEL, QoSClass
from koordnri.policy.pod_overrides import BLKIO_QOS
from koordnri.policy.trust import believed
from koordnri.policy.trust_options import TrustOptions
from tests.support.pods import BESTEFFORT, pod
from tests.support.policies import policy_of

RESCTRL, BLKIO = "node.koordinator.sh/resctrl", "koordinator.sh/blkioQOS"
DEFAULT = TrustOptions()
ALL_CACHE = {"llc": {"schemata": {"range": [0, 100]}}}
RULES = {"systemClass": QOS_LABEL, "resctrl": RESCTRL, "ioLatency": BLKIO}


def rules(**trust: Any) -> TrustOptions:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": trust}}).trust


def block(name: str = "/dev/sda", **io: Any) -> dict[str, Any]:
    return {"name": name, "type": "device", "ioCfg": io}


def greedy(namespace: str = "shop") -> Pod:
    """A pod with everything that these rules are about."""
    texts = {RESCTRL: json.dumps(ALL_CACHE), BLKIO: json.dumps({"blocks": [block(ioLatencyTarget=1, readBPS="1Mi")]})}
    return Pod("p", "u", namespace, "web", {QOS_LABEL: "SYSTEM"}, texts, BESTEFFORT)


def kept(one: Pod) -> dict[str, bool]:
    """Rule → whether its input is still in the pod."""
    qos = BLKIO_QOS.of(one)
    assert qos is not None
    assert qos.blocks[0].io_cfg.read_bps == 1 << 20, "limits hold for the pod alone"
    return {
        "systemClass": one.qos is QoSClass.SYSTEM,
        "resctrl": RESCTRL in one.annotations,
        "ioLatency": qos.blocks[0].io_cfg.io_latency_target == 1,
    }


@pytest.mark.parametrize("namespace", ["kube-system", "koordnri-system"])
def test_pods_of_the_systems_namespaces_have_them(namespace: str) -> None:
    assert set(kept(believed(greedy(namespace), DEFAULT)).values()) == {True}


def test_by_default_other_pods_have_none_of_them() -> None:
    found = believed(greedy(), DEFAULT)
    assert set(kept(found).values()) == {False}
    assert {verdict.rule: verdict.outcome for verdict in found.verdicts} == dict.fromkeys(RULES, "refused")
    assert found.qos_or_default is QoSClass.BE, "the class of its cgroup"


@pytest.mark.parametrize("rule", RULES)
def test_each_is_allowed_by_its_own_rule(rule: str) -> None:
    found = believed(greedy(), rules(**{rule: {"namespaces": ["shop"]}}))
    assert kept(found) == {one: one == rule for one in RULES}
    verdict = found.verdict(rule)
    assert verdict is not None
    assert str(verdict).endswith("believed: namespace shop is listed")


@pytest.mark.parametrize("trust", [{"withoutSpec": "believe"}, {"withoutSpec": "refuse"}])
def test_a_rule_of_namespaces_needs_no_spec(trust: Any) -> None:
    assert {verdict.outcome for verdict in believed(greedy(), rules(**trust)).verdicts} == {"refused"}


def test_where_only_observed_all_have_their_effect() -> None:
    found = believed(greedy(), rules(mode="observe"))
    assert set(kept(found).values()) == {True}
    assert [verdict.outcome for verdict in found.verdicts] == ["observed"] * 3


def test_a_refusal_names_what_was_expected() -> None:
    verdict = believed(greedy(), DEFAULT).verdict("resctrl")
    assert str(verdict) == (
        f"annotation {RESCTRL} not believed: nobody whom koordnri-config.trust.resctrl lists "
        "(namespace kube-system or koordnri-system): it has namespace shop"
    )


@pytest.mark.parametrize(
    "blkio",
    [
        {"blocks": [block(readIOPS=5, writeBPS=7, ioWeightPercent=1)]},
        {"blocks": [block(readLatency=1, writeLatencyPercent=99, enableUserModel=True, modelReadBPS=1)]},
        {"blocks": []},
        {},
        "{",
        "null",
        "x" * 20_000,
    ],
)
def test_what_slows_nobody_else_is_not_judged(blkio: Any) -> None:
    one = pod("LS", annotations={BLKIO: blkio})
    assert believed(one, DEFAULT) is one
    assert one.verdicts == ()


def test_of_many_blocks_only_the_targets_are_taken() -> None:
    blocks = [block(f"/dev/sd{i}", ioLatencyTarget=5, readIOPS=i, ioWeightPercent=9) for i in range(140)]
    found = believed(pod("LS", annotations={BLKIO: {"blocks": blocks}}), DEFAULT)
    qos = BLKIO_QOS.of(found)
    assert qos is not None, "the replaced text is not longer than the pod's"
    assert [
        (b.name, b.io_cfg.read_iops, b.io_cfg.io_weight_percent, b.io_cfg.io_latency_target) for b in qos.blocks
    ] == [(f"/dev/sd{i}", i, 9, None) for i in range(140)]


def test_letter_case_does_not_smuggle_a_target_past_the_rule() -> None:
    text = '{"Blocks": [{"NAME": "/dev/sda", "iocfg": {"IOLATENCYTARGET": 1, "ioLatencyTarget": null}}]}'
    qos = BLKIO_QOS.of(believed(pod("LS", annotations={BLKIO: text}), DEFAULT))
    assert qos is not None
    assert qos.blocks[0].io_cfg.io_latency_target is None
