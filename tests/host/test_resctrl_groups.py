"""Resctrl groups through the edge: on a kernel that refuses what the real one refuses."""

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from koordnri.host.resctrl_groups import ROOT_GROUP, ResctrlFiles, ResctrlRefused, ResctrlTree
from tests.host.fake_resctrl import FakeResctrl

POD = "kubepods/burstable/pod1"


def test_without_a_mount_there_are_no_groups(tmp_path: Path) -> None:
    assert ResctrlTree(tmp_path).groups() is None
    (tmp_path / "sys/fs/resctrl").mkdir(parents=True)
    assert ResctrlTree(tmp_path).groups() is None


def test_a_group_is_made_given_schemata_and_removed() -> None:
    kernel = FakeResctrl(ids=(0, 8))
    tree = kernel.tree
    assert tree.groups() == frozenset()
    tree.make("BE")
    tree.make("BE")  # who comes second finds it made
    assert tree.groups() == {"BE"}
    assert tree.schemata("BE") == {"L3": {0: 0x7FF, 8: 0x7FF}, "MB": {0: 100, 8: 100}}
    tree.set_line("BE", "L3", {0: 0xF, 8: 0x3})
    tree.set_line("BE", "MB", {8: 50})
    assert tree.schemata("BE") == {"L3": {0: 0xF, 8: 0x3}, "MB": {0: 100, 8: 50}}
    tree.remove("BE")
    tree.remove("BE")
    assert tree.groups() == frozenset()


@pytest.mark.parametrize(
    ("resource", "values", "why"),
    [
        ("L3", {0: 0}, "Mask out of range"),
        ("L3", {0: 0xFFF}, "Mask out of range"),
        ("L3", {0: 0b101}, "non-consecutive 1-bits"),
        ("L3", {0: 1}, "Need at least 2 bits"),
        ("L3", {5: 0xF}, "Unknown domain"),
        ("L2", {0: 0xF}, "Unknown or unsupported resource name"),
        ("MB", {0: 5}, "out of range [10,100]"),
    ],
)
def test_what_the_kernel_refuses_is_reported_in_its_words(resource: str, values: dict[int, int], why: str) -> None:
    tree = FakeResctrl(min_bits=2).tree
    tree.make("BE")
    with pytest.raises(ResctrlRefused, match="schemata: the kernel refuses") as refused:
        tree.set_line("BE", resource, values)
    assert refused.value.number == errno.EINVAL
    assert why in str(refused.value)
    assert tree.schemata("BE")["L3"] == {0: 0x7FF, 1: 0x7FF}


def test_no_class_left_is_known_by_its_number_and_reason() -> None:
    tree = FakeResctrl(num_closids=2).tree
    tree.make("LS")
    with pytest.raises(ResctrlRefused, match="Out of CLOSIDs") as refused:
        tree.make("BE")
    assert (refused.value.number, refused.value.status) == (errno.ENOSPC, "Out of CLOSIDs")


@pytest.mark.parametrize("name", ["../../etc", "info", "mon_groups", "a/b", ".", "..", "a\nb"])
def test_nothing_but_a_group_is_ever_touched(name: str) -> None:
    kernel = FakeResctrl()
    for act in (kernel.tree.make, kernel.tree.remove, kernel.tree.tasks):
        with pytest.raises(ResctrlRefused, match="expected the name of a group"):
            act(name)
    assert kernel.log == []


def test_a_thread_is_put_and_one_that_is_gone_is_no_error() -> None:
    kernel = FakeResctrl()
    tree = kernel.tree
    tree.make("BE")
    tid = kernel.spawn(POD)
    assert tree.put("BE", tid)
    assert tree.tasks("BE") == {tid}
    assert not tree.put("BE", 999_999)
    with pytest.raises(ResctrlRefused) as refused:
        tree.put("LS", tid)
    assert refused.value.number == errno.ENOENT
    assert tree.put(ROOT_GROUP, tid)
    assert tree.tasks("BE") == set()


@pytest.mark.parametrize("version", [1, 2])
def test_threads_are_found_in_the_containers_own_cgroups_too(version: int) -> None:
    kernel = FakeResctrl(version=version)
    tids = {kernel.spawn(f"{POD}/c"), kernel.spawn(f"{POD}/c/init.scope"), kernel.spawn(f"{POD}/c/a/b/d")}
    kernel.spawn(f"{POD}/other")
    assert kernel.tree.threads(f"{POD}/c", version) == tids
    assert kernel.tree.threads(f"{POD}/gone", version) == set()


@pytest.mark.parametrize("directory", ["", "/", "a/../../b", "../x"])
def test_threads_are_looked_for_below_the_cgroup_root_only(directory: str) -> None:
    with pytest.raises(ResctrlRefused, match="below the cgroup root"):
        FakeResctrl().tree.threads(directory, 2)


def test_a_thread_of_a_namespace_that_we_do_not_see_is_no_thread(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/pod"
    directory.mkdir(parents=True)
    (directory / "cgroup.threads").write_text("0\n12\n0\n")
    assert ResctrlTree(tmp_path).threads("pod", 2) == {12}


def test_a_pid_namespace_of_our_own_is_found_out() -> None:
    kernel = FakeResctrl()
    assert kernel.tree.shares_pids()
    kernel.pid_shown = "4242"
    assert not kernel.tree.shares_pids()
    assert ResctrlTree(Path("/")).shares_pids()  # the real /proc


def test_nothing_is_known_against_writing_to_what_is_not_there_or_may_be_written(tmp_path: Path) -> None:
    assert ResctrlTree(tmp_path).is_writable()
    (tmp_path / "sys/fs/resctrl").mkdir(parents=True)
    (tmp_path / "sys/fs/resctrl/tasks").touch()
    assert ResctrlTree(tmp_path).is_writable()
    kernel = FakeResctrl()
    kernel.read_only = True
    assert not kernel.tree.is_writable()


def test_monitors_are_read_and_what_hardware_does_not_report_is_left_out() -> None:
    kernel = FakeResctrl(ids=(0, 11))
    kernel.tree.make("BE")
    kernel.groups["BE"].counters = {
        (0, "llc_occupancy"): "4096",
        (0, "mbm_total_bytes"): "Unavailable",
        (11, "mbm_total_bytes"): "18446744073709551615",
        (11, "mbm_local_bytes"): "Error",
    }
    assert kernel.tree.readings("BE") == {(0, "llc_occupancy"): 4096, (11, "mbm_total_bytes"): 2**64 - 1}
    assert kernel.tree.readings("LS") == {}


def test_a_file_is_read_to_its_end_however_little_the_kernel_gives_at_a_time(tmp_path: Path) -> None:
    fifo, text = tmp_path / "tasks", "".join(f"{tid}\n" for tid in range(10_000, 16_000))

    def write() -> None:
        fd = os.open(fifo, os.O_WRONLY)
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)  # a page at a time, as seq_file gives its records
        with os.fdopen(fd, "w") as out:
            out.write(text)

    os.mkfifo(fifo)
    writer = threading.Thread(target=write)
    writer.start()
    assert ResctrlFiles().read(str(fifo)) == text
    writer.join()


def test_a_real_tree_of_directories(tmp_path: Path) -> None:
    top = tmp_path / "sys/fs/resctrl"
    for name in ("info", "mon_data", "mon_groups", "LS"):
        (top / name).mkdir(parents=True)
    (top / "LS/schemata").write_text("L3:0=7ff\n")
    tree = ResctrlTree(tmp_path)
    assert tree.groups() == {"LS"}
    tree.make("BE")
    tree.set_line("LS", "L3", {0: 0xF})
    assert (top / "LS/schemata").read_text() == "L3:0=f;\n"
    tree.remove("BE")
    assert tree.groups() == {"LS"}
