"""What a pod says about its QoS that nobody listens to is reported, once per pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.qos import QOS_LABEL
from koordnri.policy.pod_remarks import pod_remarks

BATCH = "kubernetes.io/batch-cpu"
EXTENDED = "node.koordinator.sh/extended-resource-spec"


def remarks(labels: dict[str, str] | None = None, **of: Any) -> list[str]:
    """`of`: annotations by their name without the domain koordinator.sh."""
    texts = {
        f"koordinator.sh/{name}": value if isinstance(value, str) else json.dumps(value) for name, value in of.items()
    }
    return [remark.message for remark in pod_remarks(Pod("p", "u", "n", "p", labels or {}, texts))]


@pytest.mark.parametrize(
    ("value", "hint"),
    [("lsr", "did you mean LSR?"), ("LSR ", "did you mean LSR?"), ("gold", ""), ("", "")],
)
def test_an_unknown_class_is_reported_with_what_may_be_meant(value, hint):
    (remark,) = remarks({QOS_LABEL: value})
    assert remark.startswith(f"label {QOS_LABEL}: expected LSE, LSR, LS, BE, SYSTEM, got ")
    assert remark.endswith(hint or "no class")


@pytest.mark.parametrize("key", ["koordinator.sh/qos-class", "koordinator.sh/QoSClass", "node.koordinator.sh/qos"])
def test_a_class_under_another_label_is_reported(key):
    (remark,) = remarks({key: "LSR"})
    assert f"label {key}" in remark
    assert QOS_LABEL in remark


def test_a_class_in_an_annotation_is_reported_unless_the_label_is_there_too():
    (remark,) = remarks(qosClass="LSR")
    assert f"annotation {QOS_LABEL}" in remark
    assert remarks({QOS_LABEL: "LSR"}, qosClass="LSR") == []


@pytest.mark.parametrize("labels", [{}, {QOS_LABEL: "LS"}, {"app": "qos"}, {"example.com/qosClass": "x"}])
def test_nothing_is_reported_about_others(labels):
    assert remarks(labels) == []


def test_unknown_keys_of_the_owners_annotations_are_reported_with_path_and_hint():
    assert remarks({QOS_LABEL: "LS"}, memoryQOS={"minLimitPercnt": 5}, cpuBurst={"POLICY": "auto"}) == [
        "annotation koordinator.sh/memoryQOS: minLimitPercnt: unknown key, ignored; did you mean minLimitPercent?"
    ]
    assert remarks(blkioQOS={"blocks": [{"name": "x", "ioCfg": {"readBps": 1, "readIps": 1}}]}) == [
        "annotation koordinator.sh/blkioQOS: blocks[0].ioCfg.readIps: unknown key, ignored; did you mean readIOPS?"
    ]
    assert remarks({QOS_LABEL: "LS"}, cpuQOS={"enable": True, "schedIdle": 1}) == [
        "annotation koordinator.sh/cpuQOS: schedIdle: has no effect on a pod, only in the policy"
    ]


def test_a_slip_in_how_cpus_are_wished_is_reported_to_the_owner():
    key = "scheduling.koordinator.sh/resource-spec"
    (remark,) = pod_remarks(Pod("p", "u", "n", "p", {}, {key: '{"preferredCPUBindPolcy": "FullPCPUs"}'}))
    assert remark == (f"annotation {key}: preferredCPUBindPolcy: unknown key, ignored", True)


def test_what_a_program_wrote_is_not_the_owners():
    key = "scheduling.koordinator.sh/resource-status"
    found = pod_remarks(Pod("p", "u", "n", "p", {}, {key: '{"cpuset": "0", "newer": 1}'}))
    assert [(r.message, r.of_owner) for r in found] == [(f"annotation {key}: newer: unknown key, ignored", False)]


@pytest.mark.parametrize("text", ["{", "[]", "null", "7", "[" * 16_000, '{"x": 1}' + " " * 16_384, "\x00"])
def test_what_cannot_be_read_is_the_hooks_matter(text):
    for key in ("koordinator.sh/memoryQOS", EXTENDED):
        assert pod_remarks(Pod("p", "u", "n", "p", {QOS_LABEL: "BE"}, {key: text})) == ()


def batch(qos: str, milli: Any) -> list[str]:
    table = {"containers": {"main": {"requests": {BATCH: milli}, "limits": {BATCH: milli}}}}
    pod = Pod("p", "u", "n", "p", {QOS_LABEL: qos}, {EXTENDED: json.dumps(table)})
    return [remark.message for remark in pod_remarks(pod)]


def test_batch_cpu_that_looks_like_whole_cpus_gets_a_hint():
    found = batch("BE", 4)
    assert len(found) == 2
    assert found[0] == (
        f"annotation {EXTENDED}: containers.main.requests: {BATCH} 4 is 0.004 CPUs: it counts thousandths, 4000 would be 4 CPUs"
    )
    assert [batch("BE", milli) for milli in (0, 50, "1k", "x")] == [[]] * 4
    assert batch("LS", 4) == []
    spec = PodSpec({"main": ContainerSpec({BATCH: "2"}, {})})
    (remark,) = pod_remarks(Pod("p", "u", "n", "p", {QOS_LABEL: "BE"}, spec=spec))
    assert remark.message.startswith("spec.containers.main.requests: ")


def test_a_flood_is_cut():
    assert len(remarks(memoryQOS={f"key{i}" + "x" * 500: 1 for i in range(30)})) == 8
    assert max(map(len, remarks(memoryQOS={"x" * 5000: 1}))) < 300


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("eviction-policy", "BEMemoryEvict", "broken JSON"),
        ("eviction-policy", "", "broken JSON"),
        ("eviction-priority", "high", "expected a whole number of 32 bits"),
        ("eviction-priority", "9999999999", "expected a whole number of 32 bits"),
    ],
)
def test_an_eviction_annotation_that_cannot_be_read_is_reported_to_the_owner(name, text, part):
    (remark,) = remarks({}, **{name: text})
    assert remark.startswith(f"annotation koordinator.sh/{name}: ")
    assert part in remark
    assert remarks({}, **{"eviction-policy": '["CPUEvict"]', "eviction-priority": "-7"}) == []
