"""CPU burst: the policy's, and a pod's annotation over it."""

import pytest

from koordnri.model import AnnotationError
from koordnri.policy import DEFAULT_POLICY, load_policy, resolve
from koordnri.policy.burst import CPUBurst
from tests.support.pods import pod

BURST = "koordinator.sh/cpuBurst"

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
        pytest.param('{"policy": "", "cpuBurstPercent": null}', CPUBurst("auto", 50), id="empty-is-not-set"),
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
        ("{" * 300_000, "expected at most 16384 characters"),
    ],
)
def test_a_bad_cpuBurst_names_the_annotation_and_the_place(text, problem):
    with pytest.raises(AnnotationError, match=problem.replace("[", r"\[")) as caught:
        HALF.cpu_burst(pod(annotations={BURST: text}))
    assert caught.value.key == BURST
