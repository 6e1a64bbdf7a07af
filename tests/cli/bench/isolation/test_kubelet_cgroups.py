"""The cgroups above the containers, in a tree of directories that stands for cgroupfs."""

from pathlib import Path

import pytest

from koordnri.cli.bench.isolation.kubelet_cgroups import KubeletCgroups, Limits, _properties
from koordnri.host.cgroup.paths import pod_directory
from koordnri.model import KubeQoS


@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
@pytest.mark.parametrize("qos", list(KubeQoS))
def test_a_pods_cgroup_is_where_the_runtime_reports_it(driver: str, qos: KubeQoS, tmp_path: Path) -> None:
    parent = KubeletCgroups(driver, tmp_path).parent_of(qos, "1-2")
    assert KubeQoS.of_cgroup(parent) is qos
    assert pod_directory(parent).count("/") == (1 if qos is KubeQoS.GUARANTEED else 2)


def test_on_v1_a_new_cgroup_has_its_parents_cpus_and_the_pods_shares(tmp_path: Path) -> None:
    for controller in ("cpu", "cpuset"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).write_text("0-1\n")
        for level in ("kubepods", "kubepods/besteffort", "kubepods/besteffort/podu"):
            file = tmp_path / "cpuset" / level / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n")
    cgroups = KubeletCgroups("cgroupfs", tmp_path)
    cgroups.make("/kubepods/besteffort/podu", Limits(2, 70_000))
    assert (tmp_path / "cpuset/kubepods/besteffort/podu/cpuset.cpus").read_text() == "0-1\n"
    assert (tmp_path / "cpu/kubepods/besteffort/podu/cpu.shares").read_text() == "2"
    assert (tmp_path / "cpu/kubepods/besteffort/podu/cpu.cfs_quota_us").read_text() == "70000"
    cgroups.limit_class(KubeQoS.BESTEFFORT, 2)
    assert (tmp_path / "cpu/kubepods/besteffort/cpu.shares").read_text() == "2"


def test_on_v2_the_controllers_are_enabled_on_the_way_down(tmp_path: Path) -> None:
    levels = [tmp_path, tmp_path / "kubepods", tmp_path / "kubepods/podu"]
    for level in levels:
        level.mkdir(exist_ok=True)
        (level / "cgroup.controllers").write_text("cpuset cpu misc\n")
    KubeletCgroups("cgroupfs", tmp_path).make("/kubepods/podu", Limits(1024, 0, 4096))
    assert [(level / "cgroup.subtree_control").read_text() for level in levels[:2]] == ["+cpuset +cpu"] * 2
    assert (levels[2] / "cpu.weight").read_text() == "39"
    assert (levels[2] / "memory.max").read_text() == "4096"
    assert not (levels[2] / "cpu.max").exists()


def test_a_quota_is_read_on_v1(tmp_path: Path) -> None:
    file = tmp_path / "cpu/kubepods/besteffort/cpu.cfs_quota_us"
    file.parent.mkdir(parents=True)
    for text, quota_us in (("-1\n", -1), ("2000\n", 2000)):
        file.write_text(text)
        assert KubeletCgroups("cgroupfs", tmp_path).quota_us("kubepods/besteffort") == quota_us


def test_a_removed_pod_leaves_nothing_but_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    for pod in ("podu", "podv"):
        (tmp_path / "kubepods/besteffort" / pod).mkdir(parents=True)
    cgroups = KubeletCgroups("cgroupfs", tmp_path)
    cgroups.remove("/kubepods/besteffort/podu")
    assert [path.name for path in (tmp_path / "kubepods/besteffort").iterdir()] == ["podv"]
    cgroups.remove("/kubepods/besteffort/podv")
    assert not (tmp_path / "kubepods").exists()


def test_systemd_is_asked_by_properties() -> None:
    limits = Limits(2, 70_000, -1)
    assert list(_properties(limits, 2)) == ["CPUWeight=1", "CPUQuota=70%", "MemoryMax=infinity"]
    assert list(_properties(limits, 1)) == ["CPUShares=2", "CPUQuota=70%", "MemoryLimit=infinity"]
    assert list(_properties(Limits(), 2)) == []


def test_a_file_is_there_if_a_cgroup_with_its_controller_has_it(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io\n")
    (tmp_path / "system.slice").mkdir()
    (tmp_path / "system.slice/io.max").touch()
    (tmp_path / "memory.low").touch()
    cgroups = KubeletCgroups("systemd", tmp_path)
    found = {file: cgroups.kernel_has(file) for file in ("io.max", "io.latency", "memory.low")}
    assert found == {"io.max": True, "io.latency": False, "memory.low": False}
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+io"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["system.slice"]
