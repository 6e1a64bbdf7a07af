"""The builder of pods: what a test states is what the model sees."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS, QoSClass
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod


def test_nothing_stated_is_a_burstable_pod_without_a_class():
    one = pod()
    assert (one.name, one.uid, one.qos, one.kube_qos) == ("web", "uid-web", QoSClass.NONE, KubeQoS.BURSTABLE)


@pytest.mark.parametrize(
    ("parent", "expected"),
    [(GUARANTEED, KubeQoS.GUARANTEED), (BURSTABLE, KubeQoS.BURSTABLE), (BESTEFFORT, KubeQoS.BESTEFFORT)],
)
def test_the_cgroups_are_those_of_their_classes(parent: str, expected: KubeQoS):
    assert pod(parent=parent).kube_qos is expected


def test_what_is_stated():
    one = pod("BE", annotations={"a": {"b": 1}, "c": "text"}, labels={"app": "x"}, name="db")
    assert (one.qos, one.annotations, one.uid) == (QoSClass.BE, {"a": '{"b": 1}', "c": "text"}, "uid-db")
    assert one.labels["app"] == "x"
