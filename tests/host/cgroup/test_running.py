"""What cgroups show about a pod: whether its sandbox runs, and a container's CPUs."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.cgroup.running import cpus_now, has_ended
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.support.pods import pod

POD = pod(name="p")
DIRECTORY = pod_directory(POD.cgroup_parent)
ABOVE = ("kubepods", "kubepods/burstable")


def writer(*cgroups: str) -> Writer:
    return Writer(ROOT, 2, FakeKernel(2, (*ABOVE, *cgroups)))


@pytest.mark.parametrize(
    ("runtime", "cgroups", "expected"),
    [
        ("containerd", (), True),  # the pod's cgroup is gone
        ("containerd", (DIRECTORY,), True),  # the sandbox's is
        ("containerd", (DIRECTORY, container_directory(POD.cgroup_parent, POD.id, "containerd")), False),
        ("cri-o", (DIRECTORY,), False),  # it may run no pause container
        ("cri-o", (), True),
    ],
)
def test_a_sandbox_has_ended_when_its_cgroup_is_gone(runtime: str, cgroups: tuple[str, ...], expected: bool) -> None:
    assert has_ended(writer(*cgroups), POD, runtime) is expected


def test_where_no_cgroups_are_nothing_has_ended() -> None:
    assert not has_ended(Writer(ROOT, 2, FakeKernel(2, ())), POD, "containerd")


@pytest.mark.parametrize("parent", ["", "../outside"])
def test_a_pod_without_a_known_cgroup_has_not_ended(parent: str) -> None:
    assert not has_ended(writer(), pod(parent=parent), "containerd")


def test_a_sandbox_of_a_virtual_machine_has_no_pause_container() -> None:
    assert not has_ended(writer(DIRECTORY), pod(name="p", runtime_handler="kata"), "containerd")


def test_the_cpus_of_a_container_are_those_of_its_cgroup() -> None:
    directory = container_directory(POD.cgroup_parent, "c1", "containerd")
    kernel = FakeKernel(2, (*ABOVE, DIRECTORY, directory))
    found = Writer(ROOT, 2, kernel)
    assert cpus_now(found, POD, "c1", "containerd") is None, "an empty cpuset says nothing"
    kernel.cgroups[directory].cpus = frozenset({1, 2})
    assert cpus_now(found, POD, "c1", "containerd") == CPUSet([1, 2])
    assert cpus_now(found, POD, "gone", "containerd") is None
    assert cpus_now(found, pod(parent=""), "c1", "containerd") is None
