"""Pressure stall information."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.pressure import Pressure, read_pressure, read_waited_us
from tests.host.usage.usage_tree import CGROUP, UsageTree


def test_pressure_on_a_v1_kernel_that_has_it(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    tree.write("cpuacct/io.pressure", "some avg10=1.00 avg60=0 total=0\n")
    assert read_pressure(tree.files, CGROUP) == Pressure(None, None, 1.0)


def test_the_time_waited_is_known_where_the_kernel_has_psi(tmp_path: Path) -> None:
    assert read_waited_us(UsageTree(tmp_path / "v2", 2).files, CGROUP) == 9
    assert read_waited_us(UsageTree(tmp_path / "v1", 1).files, CGROUP) is None


def test_a_malformed_time_is_not_known(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("cpu.pressure", "some avg10=1.00 total=-1\n")
    assert read_waited_us(tree.files, CGROUP) is None
