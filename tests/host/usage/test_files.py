"""Which directories are read, and how many."""

from __future__ import annotations

import shutil
from pathlib import Path

from koordnri.host.usage.cpu import CPUTime, read_cpu
from koordnri.host.usage.files import MOST_BELOW
from tests.host.usage.usage_tree import CGROUP, UsageTree


def test_v1_controllers_that_are_mounted_together(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    top = tmp_path / "sys/fs/cgroup"
    (top / "cpuacct" / CGROUP / "cpuacct.usage").rename(top / "cpu" / CGROUP / "cpuacct.usage")
    shutil.rmtree(top / "cpuacct")
    (top / "cpu").rename(top / "cpu,cpuacct")
    assert read_cpu(tree.files, CGROUP) == CPUTime(5_000_000, 700)


def test_a_container_cannot_make_us_read_cgroups_without_end(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    for number in range(MOST_BELOW + 10):
        (tmp_path / "sys/fs/cgroup" / CGROUP / str(number)).mkdir()
    assert len(list(tree.files.below(CGROUP))) == MOST_BELOW
