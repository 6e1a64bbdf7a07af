"""Koordinator's and Kubernetes' QoS classes."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS, QoSClass
from koordnri.model.qos import DEFAULT_CLASS, QOS_LABEL


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({QOS_LABEL: "LSR"}, QoSClass.LSR), ({QOS_LABEL: "lsr"}, QoSClass.NONE), ({QOS_LABEL: ""}, QoSClass.NONE), ({}, QoSClass.NONE)],
)  # fmt: skip
def test_letter_case_counts_and_any_other_text_is_no_class(labels: dict[str, str], expected: QoSClass) -> None:
    assert QoSClass.of(labels) is expected


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("/kubepods/podx", KubeQoS.GUARANTEED),
        ("/kubepods/burstable/podx", KubeQoS.BURSTABLE),
        ("/kubepods/besteffort/podx", KubeQoS.BESTEFFORT),
        ("kubepods-besteffort-podx.slice", KubeQoS.BESTEFFORT),
        ("/kubepods/podbesteffort", KubeQoS.GUARANTEED),  # a static pod's uid may be any text
        ("kubepods-podburstable.slice", KubeQoS.GUARANTEED),
    ],
)
def test_the_class_is_named_above_the_pod(parent: str, expected: KubeQoS) -> None:
    assert KubeQoS.of_cgroup(parent) is expected


def test_every_class_of_kubernetes_has_a_default() -> None:
    assert DEFAULT_CLASS.keys() == set(KubeQoS)
