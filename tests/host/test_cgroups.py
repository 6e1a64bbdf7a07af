"""cgroup version, driver and files from fake cgroup trees."""

from pathlib import Path

import pytest

from koordnri.host import read_node
from koordnri.host.cgroups import SURE_FILES
from koordnri.model import fields
from koordnri.model.container import Event
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.model.routes import Refusal
from tests.host.trees import BASE_FILES, CPU_FILES, CPUSET_FILES, IO_FILES, MEMORY_FILES, HostTree


def test_v1_and_hybrid_are_version_1(tmp_path: Path) -> None:
    assert read_node(HostTree(tmp_path / "v1").cgroup_v1().root, "n").cgroup_version == 1
    hybrid = HostTree(tmp_path / "hybrid").cgroup_v1().unified_beside_v1()
    assert read_node(hybrid.root, "n").cgroup_version == 1


def test_controllers_in_the_root_are_version_2(tmp_path: Path) -> None:
    assert read_node(HostTree(tmp_path).cgroup_v2().root, "n").cgroup_version == 2


def test_without_cgroups_no_file_is_claimed(tmp_path: Path) -> None:
    node = read_node(tmp_path, "n")
    assert node.cgroup_files == frozenset()
    assert isinstance(node.routes(Event.CREATE)[fields.MEMORY_HIGH], Refusal)
    assert any(p.startswith(f"{tmp_path}/sys/fs/cgroup: expected cgroup.controllers (v2) or") for p in node.problems)


@pytest.mark.parametrize(
    ("tops", "systemd", "driver"),
    [
        (["kubepods.slice", "system.slice"], False, "systemd"),
        (["kubepods"], True, "cgroupfs"),
        (["kubepods.slice", "kubepods"], False, "systemd"),
        (["system.slice"], True, "systemd"),
        ([], False, "cgroupfs"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_driver_is_seen_by_kubelets_directory_else_by_systemd(
    tmp_path: Path, version: int, tops: list[str], systemd: bool, driver: str
) -> None:
    tree = HostTree(tmp_path)
    if version == 1:
        tree.cgroup_v1(*tops)
    else:
        tree.cgroup_v2(cgroups=dict.fromkeys(tops, ()))
    if systemd:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert read_node(tmp_path, "n").cgroup_driver == driver


@pytest.mark.parametrize(
    ("version", "files", "cpus"),
    [
        (2, {"kubepods/cpuset.cpus.effective": "0-1\n", "kubepods/cpuset.cpus": "\n"}, "0-1"),
        (2, {"kubepods.slice/cpuset.cpus.effective": "0-7\n", "cpuset.cpus.effective": "0-15\n"}, "0-7"),
        (2, {"kubelet/kubepods/cpuset.cpus.effective": "0-1\n"}, "0-1"),
        (2, {"kubepods/cpu.max": "max 100000\n"}, "None"),
        (2, {}, "None"),
        (1, {"cpuset/kubepods/cpuset.effective_cpus": "0-1\n", "cpuset/kubepods/cpuset.cpus": "0-3\n"}, "0-1"),
        (1, {"cpuset/kubepods.slice/cpuset.cpus": "0-3\n"}, "0-3"),
        (1, {"cpuset/kubepods/cpuset.effective_cpus": "\n", "cpuset/kubepods/cpuset.cpus": "\n"}, "None"),
        (1, {"cpu/kubepods/cpu.shares": "2\n"}, "None"),
    ],
)
def test_the_cpus_of_all_pods_are_those_that_their_cgroup_really_has(
    tmp_path: Path, version: int, files: dict[str, str], cpus: str
) -> None:
    tree = HostTree(tmp_path).cgroup_v1() if version == 1 else HostTree(tmp_path).cgroup_v2()
    for path, text in files.items():
        tree.write(f"sys/fs/cgroup/{path}", text)
    assert str(read_node(tmp_path, "n").pods_cpus) == cpus


def test_the_cpus_of_all_pods_are_found_under_kinds_cgroup_root(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cgroup_v2()
    tree.write("sys/fs/cgroup/kubelet.slice/kubelet-kubepods.slice/cpuset.cpus.effective", "0-1\n")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert str(read_node(tmp_path, "n").pods_cpus) == "0-1"


def v2_files(tree: HostTree) -> set[str]:
    """Without what every cgroup has."""
    return set(read_node(tree.root, "n").cgroup_files - set(BASE_FILES))


def test_files_are_those_that_kubelets_cgroup_shows(tmp_path: Path) -> None:
    every = (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES, *IO_FILES)
    tree = HostTree(tmp_path).cgroup_v2("cpuset cpu io memory", {"kubepods.slice": every})
    tree.write("sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/cpu.fancy", "")
    assert v2_files(tree) == set(every)


def test_a_mainline_node_reads_as_the_described_one_is_taken_to_be(tmp_path: Path) -> None:
    files = MAINLINE_V2_FILES - {"io.latency"}
    tree = HostTree(tmp_path).cgroup_v2("cpuset cpu io memory", {"kubepods": files})
    assert v2_files(tree) == files


def test_a_file_that_this_kernel_lacks_is_not_claimed(tmp_path: Path) -> None:
    """A 5.10 kernel without cpu.max.burst, cpu.idle and io throttling."""
    old = ("cpu.max", "cpu.weight", "memory.max", "memory.high", "io.stat")
    tree = HostTree(tmp_path).cgroup_v2("cpu io memory", {"kubepods.slice": old})
    assert v2_files(tree) == set(old)
    assert isinstance(read_node(tmp_path, "n").routes(Event.CREATE)[fields.CPU_BURST], Refusal)


def test_before_kubelet_the_other_first_level_cgroups_report(tmp_path: Path) -> None:
    cgroups = {"init.scope": MEMORY_FILES, "system.slice": (*MEMORY_FILES, *CPU_FILES), "user.slice": IO_FILES}
    tree = HostTree(tmp_path).cgroup_v2("cpu io memory", cgroups)
    assert v2_files(tree) == {*MEMORY_FILES, *CPU_FILES, *IO_FILES}


def test_a_controller_that_is_offered_but_nowhere_on_has_the_files_of_every_kernel(tmp_path: Path) -> None:
    """memory is on in system.slice without memory.min, as on a kernel that we do not know: then what is seen counts."""
    tree = HostTree(tmp_path).cgroup_v2("cpuset cpu io memory pids", {"system.slice": ("memory.max", "memory.high")})
    assert v2_files(tree) == {"memory.max", "memory.high", *SURE_FILES["cpu"], *SURE_FILES["cpuset"]}


def test_a_controller_that_is_not_offered_has_no_files(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cgroup_v2("cpu pids", {"system.slice": ()})
    assert v2_files(tree) == SURE_FILES["cpu"]


def test_what_is_surely_there_depends_on_no_kernel_option_and_no_version_after_5_4() -> None:
    sure = set[str]().union(*SURE_FILES.values())
    assert sure <= MAINLINE_V2_FILES
    assert sure == {
        *("cpu.max", "cpu.weight", "cpuset.cpus", "cpuset.mems"),
        *("memory.max", "memory.min", "memory.low", "memory.high", "memory.oom.group"),
    }
