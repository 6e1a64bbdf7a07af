"""What a pod's annotations `koordinator.sh/cpuBurst` and `koordinator.sh/cpuQOS` say over the node's policy."""

import pytest

from koordnri.model import AnnotationError
from koordnri.policy import DEFAULT_POLICY, load_policy, resolve
from koordnri.policy.burst import CPUBurst
from koordnri.policy.qos import PodCPUQOS
from tests.support.pods import pod

BURST, QOS = "koordinator.sh/cpuBurst", "koordinator.sh/cpuQOS"
HALF = resolve(
    load_policy('{"cpu-burst-config": {"clusterStrategy": {"policy": "auto", "cpuBurstPercent": 50}}}', "test"), "n", {}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{}", CPUBurst("auto", 50), id="says-nothing"),
        pytest.param('{"policy": "none"}', CPUBurst("none", 50), id="policy"),
        pytest.param('{"cpuBurstPercent": 20}', CPUBurst("auto", 20), id="percent"),
        pytest.param('{"CPUBURSTPERCENT": 20}', CPUBurst("auto", 20), id="any-case"),
        pytest.param('{"policy": "", "cpuBurstPercent": null}', CPUBurst("auto", 50), id="empty-is-not-said"),
        pytest.param(
            '{"policy": "cfsQuotaBurstOnly", "cfsQuotaBurstPercent": 100, "cfsQuotaBurstPeriodSeconds": 7, "new": {}}',
            CPUBurst("cfsQuotaBurstOnly", 50, 100, 7),
            id="all-fields",
        ),
    ],
)
def test_a_pods_burst_goes_over_the_nodes_field_by_field(text, expected):
    assert HALF.cpu_burst(pod(annotations={BURST: text})) == expected


def test_a_pod_without_annotation_has_the_nodes_burst():
    assert HALF.cpu_burst(pod()) is HALF.burst


def test_the_same_annotation_follows_a_changed_policy():
    one = pod(annotations={BURST: '{"policy": "auto"}'})
    assert HALF.cpu_burst(one).cpu_burst_percent == 50
    assert DEFAULT_POLICY.cpu_burst(one).cpu_burst_percent == 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"policy": "always"}', "policy: expected none, auto, cpuBurstOnly or cfsQuotaBurstOnly"),
        ('{"cpuBurstPercent": 0}', "cpuBurstPercent: expected 1..10000, got 0"),
        ('{"cpuBurstPercent": 10001}', "cpuBurstPercent: expected 1..10000, got 10001"),
        ('{"cpuBurstPercent": "500"}', "cpuBurstPercent: expected an integer"),
        ('{"cfsQuotaBurstPercent": 99}', "cfsQuotaBurstPercent: expected at least 100"),
        ('{"cfsQuotaBurstPeriodSeconds": -2}', "cfsQuotaBurstPeriodSeconds: expected at least -1"),
        ("[]", "expected a mapping"),
        ('{"policy": "auto"', "broken JSON"),
        ("{" * 300_000, "expected at most 262144 bytes"),
    ],
)
def test_a_bad_cpuBurst_names_the_annotation_and_the_place(text, problem):
    with pytest.raises(AnnotationError, match=problem.replace("[", r"\[")) as caught:
        HALF.cpu_burst(pod(annotations={BURST: text}))
    assert caught.value.key == BURST


def test_cpuQOS_of_a_pod_is_read_as_it_stands():
    assert DEFAULT_POLICY.cpu_qos(
        pod(annotations={QOS: '{"enable": true, "groupIdentity": -1, "schedIdle": 1}'})
    ) == PodCPUQOS(True, -1)
    assert DEFAULT_POLICY.cpu_qos(pod(annotations={QOS: "{}"})) == PodCPUQOS(False, None)
    assert DEFAULT_POLICY.cpu_qos(pod()) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"enable": true, "groupIdentity": 3}', "groupIdentity: expected -1..2, got 3"),
        ('{"enable": true, "groupIdentity": -2}', "groupIdentity: expected -1..2, got -2"),
        ('{"enable": "yes"}', "enable: expected true or false"),
        ("true", "expected a mapping"),
    ],
)
def test_a_bad_cpuQOS_names_the_annotation_and_the_place(text, problem):
    with pytest.raises(AnnotationError, match=problem) as caught:
        DEFAULT_POLICY.cpu_qos(pod(annotations={QOS: text}))
    assert caught.value.key == QOS
