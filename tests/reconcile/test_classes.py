"""Which cgroups there are above the pods, and where, from where pods are."""

from __future__ import annotations

import pytest

from koordnri.model import KubeQoS, NodeState, Pod
from koordnri.reconcile.classes import classes_above

CLASSES = ("Guaranteed", "Burstable", "BestEffort")
CGROUPFS = ("kubepods", "kubepods/burstable", "kubepods/besteffort")
SYSTEMD = (
    "kubepods.slice",
    "kubepods.slice/kubepods-burstable.slice",
    "kubepods.slice/kubepods-besteffort.slice",
)
BELOW_A = tuple(f"a/{directory}" for directory in CGROUPFS)
BELOW_A_B = (
    "a.slice/a-b.slice/a-b-kubepods.slice",
    "a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-burstable.slice",
    "a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-besteffort.slice",
)


def pods(*parents: str) -> list[Pod]:
    return [Pod(f"p{i}", f"u{i}", "shop", f"p{i}", cgroup_parent=parent) for i, parent in enumerate(parents)]


def directories(found: list[Pod], node: NodeState) -> tuple[str, ...]:
    by_name = {one.cgroup.name: one.cgroup.directory for one in classes_above(found, node)}
    return tuple(by_name[name] for name in CLASSES)


@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("/kubepods/pod1", CGROUPFS),
        ("/kubepods/burstable/pod1", CGROUPFS),
        ("/kubepods/besteffort/pod1", CGROUPFS),
        ("/a/kubepods/burstable/pod1", BELOW_A),
        ("/a/kubepods/pod1", BELOW_A),
        ("kubepods-pod1.slice", SYSTEMD),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice", SYSTEMD),
        ("a-b-kubepods-burstable-pod1.slice", BELOW_A_B),
        ("a-b-kubepods-pod1.slice", BELOW_A_B),
    ],
)
def test_one_pod_of_any_class_shows_where_all_classes_are(driver, parent, expected):
    assert directories(pods(parent), NodeState(cgroup_driver=driver)) == expected


@pytest.mark.parametrize(("driver", "expected"), [("systemd", SYSTEMD), ("cgroupfs", CGROUPFS)])
@pytest.mark.parametrize("parent", [None, "", "/one", "/of/crictl", "system-of_crictl.slice", "/../kubepods/pod1"])
def test_without_a_pod_of_kubelets_the_driver_shows_it(driver, expected, parent):
    found = [] if parent is None else pods(parent)
    assert directories(found, NodeState(cgroup_driver=driver)) == expected


def test_a_pod_that_is_not_kubelets_does_not_hide_those_that_are():
    found = pods("/of/crictl", "/a/kubepods/besteffort/pod1")
    assert directories(found, NodeState()) == BELOW_A


def test_every_class_has_its_pods_and_the_root_of_all_pods_has_all():
    found = pods("/kubepods/pod0", "/kubepods/burstable/pod1", "/kubepods/besteffort/pod2", "/kubepods/burstable/pod3")
    below = {one.cgroup.name: [pod.id for pod in one.pods] for one in classes_above(found, NodeState())}
    assert below["Guaranteed"] == ["p0", "p1", "p2", "p3"]
    assert below["Burstable"] == ["p1", "p3"]
    assert below["BestEffort"] == ["p2"]


def test_the_root_of_all_cgroups_is_above_them():
    root = classes_above([], NodeState())[0]
    assert (root.cgroup.qos, root.cgroup.name, root.cgroup.id) == (None, "root", "class:root")
    assert [one.cgroup.qos for one in classes_above([], NodeState())[1:]] == list(KubeQoS)
