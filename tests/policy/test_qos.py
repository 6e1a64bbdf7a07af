"""What a pod's annotation `koordinator.sh/cpuQOS` says over the node's policy."""

import pytest

from koordnri.model import AnnotationError
from koordnri.policy import DEFAULT_POLICY
from koordnri.policy.qos import PodCPUQOS
from tests.support.pods import pod

QOS = "koordinator.sh/cpuQOS"


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
