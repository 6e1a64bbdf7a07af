"""QoS of pods: from the label, and from the cgroup path."""

import pytest

from koordnri.model import KubeQoS, Pod, QoSClass

G, B, E = KubeQoS.GUARANTEED, KubeQoS.BURSTABLE, KubeQoS.BESTEFFORT


@pytest.mark.parametrize(
    ("parent", "kube_qos"),
    [
        ("/kubepods/pod8d1a", G),
        ("/kubepods/burstable/pod8d1a", B),
        ("/kubepods/besteffort/pod8d1a", E),
        ("/kubepods.slice/kubepods-pod8d1a.slice", G),
        ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8d1a.slice", B),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod8d1a.slice", E),
        pytest.param("kubepods-besteffort-pod8d1a.slice", E, id="CRI-O-reports-the-last-slice-only"),
        pytest.param("kubepods-burstable-pod8d1a.slice", B, id="CRI-O-burstable"),
        pytest.param("kubepods-pod8d1a.slice", G, id="CRI-O-guaranteed"),
        pytest.param("/kubepods/podbesteffort-thing", G, id="static-pod-named-besteffort"),
        pytest.param("/kubepods.slice/kubepods-podburstable.slice", G, id="static-pod-named-burstable"),
        pytest.param("", G, id="unknown"),
    ],
)
def test_kubernetes_class_is_the_directory_above_the_pod(parent, kube_qos):
    assert KubeQoS.of_cgroup(parent) is kube_qos


@pytest.mark.parametrize(
    ("label", "qos"),
    [(q.value, q) for q in QoSClass]
    + [("ls", QoSClass.NONE), ("LS ", QoSClass.NONE), ("GOLD", QoSClass.NONE), (None, QoSClass.NONE)],
)
def test_the_label_counts_in_its_exact_spelling(label, qos):
    labels = {} if label is None else {"koordinator.sh/qosClass": label}
    assert Pod("1", "u", "n", "p", labels=labels).qos is qos


@pytest.mark.parametrize(
    ("label", "parent", "qos"),
    [
        ("", "/kubepods/pod1", QoSClass.LSR),
        ("", "/kubepods/burstable/pod1", QoSClass.LS),
        ("", "/kubepods/besteffort/pod1", QoSClass.BE),
        ("LSE", "/kubepods/besteffort/pod1", QoSClass.LSE),
        ("SYSTEM", "/kubepods/pod1", QoSClass.SYSTEM),
    ],
)
def test_without_a_label_kubernetes_class_stands_in(label, parent, qos):
    pod = Pod("1", "u", "n", "p", labels={"koordinator.sh/qosClass": label}, cgroup_parent=parent)
    assert pod.qos_or_default is qos
