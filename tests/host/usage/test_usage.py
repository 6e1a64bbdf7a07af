"""What a cgroup uses, on v1 and v2, and with files that are missing, malformed or gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from koordnri.host.usage.cpu import CPUTime, read_cpu
from koordnri.host.usage.files import MOST_BELOW
from koordnri.host.usage.io import IOBytes, read_io
from koordnri.host.usage.memory import MemoryUse, read_memory
from koordnri.host.usage.pressure import Pressure, read_pressure
from koordnri.host.usage.usage import Usage, read_usage
from koordnri.host.usage.waiting import read_waiting, waited_ns
from tests.host.usage.usage_tree import CGROUP, UsageTree

MIB = 1 << 20
NO_PRESSURE = Pressure(None, None, None)


def test_everything_of_a_v2_cgroup(tmp_path: Path) -> None:
    assert read_usage(UsageTree(tmp_path, 2).files, CGROUP, threads=True) == Usage(
        CPUTime(5_000_000, 700),
        MemoryUse(8 * MIB, MIB, None),
        IOBytes(101, 22),
        Pressure(12.5, 0.0, None),
        {101: 2_000_000, 102: 500_000},
    )


def test_everything_of_a_v1_cgroup(tmp_path: Path) -> None:
    assert read_usage(UsageTree(tmp_path, 1).files, CGROUP, threads=True) == Usage(
        CPUTime(5_000_000, 700),
        MemoryUse(8 * MIB, None, None),
        IOBytes(101, 22),
        NO_PRESSURE,
        {101: 2_000_000, 102: 500_000},
    )


def test_v1_controllers_that_are_mounted_together(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    top = tmp_path / "sys/fs/cgroup"
    (top / "cpuacct" / CGROUP / "cpuacct.usage").rename(top / "cpu" / CGROUP / "cpuacct.usage")
    shutil.rmtree(top / "cpuacct")
    (top / "cpu").rename(top / "cpu,cpuacct")
    assert read_cpu(tree.files, CGROUP) == CPUTime(5_000_000, 700)


def test_v1_before_the_recursive_files_of_io(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    tree.path("blkio/blkio.throttle.io_service_bytes_recursive").unlink()
    assert read_io(tree.files, CGROUP) == IOBytes(99, 99)


@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroup_that_is_gone_uses_nothing(tmp_path: Path, version: int) -> None:
    files = UsageTree(tmp_path, version).files
    assert read_usage(files, "kubepods/pod1/c2", threads=True) is None


@pytest.mark.parametrize("version", [1, 2])
def test_files_that_are_missing_cost_their_figures_only(tmp_path: Path, version: int) -> None:
    tree = UsageTree(tmp_path, version)
    directories = [tmp_path / "sys/fs/cgroup"] if version == 2 else list((tmp_path / "sys/fs/cgroup").iterdir())
    for directory in directories:
        for file in (directory / CGROUP).iterdir():
            file.unlink()
    nothing = Usage(CPUTime(None, None), MemoryUse(None, None, None), None, NO_PRESSURE, {})
    assert read_usage(tree.files, CGROUP, threads=True) == nothing


def test_malformed_files_cost_their_figures_only(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    for name in ("cpu.stat", "memory.current", "io.stat", "cpu.pressure", "memory.pressure", "cgroup.threads"):
        tree.write(name, "some avg10=x usage_usec -1 rbytes=y ²\n")
    assert read_usage(tree.files, CGROUP, threads=True) == Usage(
        CPUTime(None, None), MemoryUse(None, MIB, None), IOBytes(0, 0), NO_PRESSURE, None
    )


def test_more_cached_files_than_memory_is_no_negative_use(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("memory.stat", "inactive_file 99999999\n")
    assert read_memory(tree.files, CGROUP).used == 0


def test_a_limit_of_memory_high(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("memory.high", "4096\n")
    assert read_memory(tree.files, CGROUP).high == 4096


def test_pressure_on_a_v1_kernel_that_has_it(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    tree.write("cpuacct/io.pressure", "some avg10=1.00 avg60=0 total=0\n")
    assert read_pressure(tree.files, CGROUP) == Pressure(None, None, 1.0)


def test_the_quota_of_cruns_inner_cgroup_counts(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    scope = "kubepods.slice/cri-containerd-c1.scope"
    tree.write("cpu.stat", "usage_usec 9\nthrottled_usec 5\n", scope)
    assert read_cpu(tree.files, scope) == CPUTime(9, 5)
    tree.write("cpu.stat", "usage_usec 9\nthrottled_usec 7\n", f"{scope}/container")
    assert read_cpu(tree.files, scope) == CPUTime(9, 7)


# -- threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "name"), [(1, "cpu/tasks"), (2, "cgroup.threads")])
def test_threads_of_nested_cgroups_count(tmp_path: Path, version: int, name: str) -> None:
    tree = UsageTree(tmp_path, version)
    tree.write(name, "103\n", f"{CGROUP}/docker/inner")
    tree.schedstat(103, "0 7 0\n")
    assert read_waiting(tree.files, CGROUP) == {101: 2_000_000, 102: 500_000, 103: 7}


def test_a_thread_that_ended_is_left_out(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    shutil.rmtree(tmp_path / "proc/102")
    assert read_waiting(tree.files, CGROUP) == {101: 2_000_000}


def test_threads_that_we_cannot_see_are_not_known(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("cgroup.threads", "0\n0\n")  # how the kernel lists threads of another PID namespace
    assert read_waiting(tree.files, CGROUP) is None


def test_a_container_cannot_make_us_read_cgroups_without_end(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    for number in range(MOST_BELOW + 10):
        (tmp_path / "sys/fs/cgroup" / CGROUP / str(number)).mkdir()
    assert len(list(tree.files.below(CGROUP))) == MOST_BELOW


@pytest.mark.parametrize(
    ("before", "after", "waited"),
    [
        ({1: 100}, {1: 150}, 50),
        ({1: 100}, {1: 150, 2: 7}, 57),
        ({1: 100, 2: 50}, {1: 150}, 50),
        ({1: 100}, {1: 30}, 30),
    ],
    ids=["one", "a new thread", "one has ended", "another thread of the same number"],
)
def test_how_long_threads_have_waited(before: dict[int, int], after: dict[int, int], waited: int) -> None:
    assert waited_ns(before, after) == waited
