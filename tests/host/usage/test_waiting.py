"""How long the threads of a cgroup have waited for a CPU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from koordnri.host.usage.waiting import read_waiting, waited_ns
from tests.host.usage.usage_tree import CGROUP, UsageTree


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
