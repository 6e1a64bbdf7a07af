"""cgroup paths from what runtimes report. The forms are those of containerd and CRI-O, with both drivers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host.cgroup.paths import (
    class_directory,
    container_directory,
    inner_directory,
    parent_directory,
    pod_directory,
)
from koordnri.model import KubeQoS, NodeError

UID = "7b4f2c1a_0d3e_4f5a_9b8c_1d2e3f4a5b6c"
BURSTABLE = "kubepods.slice/kubepods-burstable.slice"
POD_SLICE = f"kubepods-burstable-pod{UID}.slice"
POD = f"{BURSTABLE}/{POD_SLICE}"
CGROUPFS_POD = "kubepods/burstable/pod7b4f2c1a-0d3e"
ID = "c0ffee" * 8


@pytest.mark.parametrize(
    ("parent", "directory"),
    [
        (f"/{CGROUPFS_POD}", CGROUPFS_POD),
        (CGROUPFS_POD, CGROUPFS_POD),
        ("/kubepods/podX", "kubepods/podX"),
        (f"/{POD}", POD),
        (POD_SLICE, POD),
        ("kubepods-podX.slice", "kubepods.slice/kubepods-podX.slice"),
        # kubelet --cgroup-root=/kubelet, as in kind
        (
            "kubelet-kubepods-besteffort-podX.slice",
            "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podX.slice",
        ),
        ("/kubelet/kubepods/podX", "kubelet/kubepods/podX"),
        ("//kubepods//podX/", "kubepods/podX"),
        # a static pod's uid is any text
        ("/kubepods/pod..dots", "kubepods/pod..dots"),
    ],
)
def test_the_pods_cgroup(parent: str, directory: str) -> None:
    assert pod_directory(parent) == directory


@pytest.mark.parametrize(
    ("parent", "runtime", "directory"),
    [
        (f"/{CGROUPFS_POD}", "containerd", f"{CGROUPFS_POD}/{ID}"),
        (f"/{POD}", "containerd", f"{POD}/cri-containerd-{ID}.scope"),
        (f"/{CGROUPFS_POD}", "cri-o", f"{CGROUPFS_POD}/crio-{ID}"),
        (POD_SLICE, "cri-o", f"{POD}/crio-{ID}.scope"),
    ],
)
def test_the_containers_cgroup(parent: str, runtime: str, directory: str) -> None:
    assert container_directory(parent, ID, runtime) == directory


def test_crun_goes_one_level_deeper() -> None:
    assert inner_directory(f"{POD}/crio-{ID}.scope") == f"{POD}/crio-{ID}.scope/container"


@pytest.mark.parametrize(
    ("qos", "driver", "root", "directory"),
    [
        (KubeQoS.GUARANTEED, "cgroupfs", "", "kubepods"),
        (KubeQoS.BURSTABLE, "cgroupfs", "", "kubepods/burstable"),
        (KubeQoS.BESTEFFORT, "cgroupfs", "/kubelet", "kubelet/kubepods/besteffort"),
        (KubeQoS.GUARANTEED, "systemd", "", "kubepods.slice"),
        (KubeQoS.BURSTABLE, "systemd", "/", BURSTABLE),
        (
            KubeQoS.BESTEFFORT,
            "systemd",
            "/a-b",
            "a_b.slice/a_b-kubepods.slice/a_b-kubepods-besteffort.slice",
        ),
    ],
)
def test_the_cgroup_of_a_qos_class(qos: KubeQoS, driver: str, root: str, directory: str) -> None:
    assert class_directory(qos, driver, root) == directory


@pytest.mark.parametrize(
    ("parent", "qos", "driver"),
    [
        ("/kubepods/podX", KubeQoS.GUARANTEED, "cgroupfs"),
        ("/kubepods/burstable/podX", KubeQoS.BURSTABLE, "cgroupfs"),
        ("kubepods-besteffort-podX.slice", KubeQoS.BESTEFFORT, "systemd"),
        ("kubepods-podX.slice", KubeQoS.GUARANTEED, "systemd"),
    ],
)
def test_a_pods_parent_is_the_cgroup_of_its_class(parent: str, qos: KubeQoS, driver: str) -> None:
    assert parent_directory(pod_directory(parent)) == class_directory(qos, driver)


@pytest.mark.parametrize(
    "call",
    [
        (pod_directory, ""),
        (pod_directory, "/"),
        (pod_directory, "/kubepods/../../../etc"),
        (pod_directory, "../kubepods/podX"),
        (pod_directory, "/kubepods/./podX"),
        (pod_directory, "/kubepods/pod\0X"),
        (pod_directory, "/kubepods/pod\nX"),
        (pod_directory, "-.slice"),
        (pod_directory, ".slice"),
        (pod_directory, "kubepods--podX.slice"),
        (pod_directory, "/../kubepods.slice"),
        (container_directory, "/kubepods/podX", "", "containerd"),
        (container_directory, "/kubepods/podX", "..", "containerd"),
        (container_directory, "/kubepods/podX", "a/../../b", "containerd"),
        (container_directory, "", "a", "containerd"),
        (class_directory, KubeQoS.BURSTABLE, "systemd", "/../x"),
        (class_directory, KubeQoS.BURSTABLE, "cgroupfs", "/../x"),
        (class_directory, KubeQoS.BURSTABLE, "openrc"),
        (parent_directory, "kubepods"),
    ],
    ids=lambda call: " ".join([call[0].__name__, *map(repr, call[1:])]),
)
def test_what_is_no_cgroup_below_the_root_is_refused_with_what_was_expected(call: tuple[Any, ...]) -> None:
    function, *arguments = call
    with pytest.raises(NodeError, match="expected"):
        function(*arguments)


TEXT = st.text("/.:-ab\0\nslice ", max_size=24) | st.text(max_size=12)


@given(parent=TEXT, container=TEXT, crio=st.booleans())
def test_no_text_leads_out_of_the_cgroup_root(parent: str, container: str, crio: bool) -> None:
    try:
        directory = container_directory(parent, container, "cri-o" if crio else "containerd")
    except NodeError:
        return
    assert directory
    assert not {"", ".", ".."} & set(directory.split("/"))
    assert directory.isprintable()
