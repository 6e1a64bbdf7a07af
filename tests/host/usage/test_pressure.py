"""Pressure stall information."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.pressure import Pressure, read_pressure
from tests.host.usage.usage_tree import CGROUP, UsageTree


def test_pressure_on_a_v1_kernel_that_has_it(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    tree.write("cpuacct/io.pressure", "some avg10=1.00 avg60=0 total=0\n")
    assert read_pressure(tree.files, CGROUP) == Pressure(None, None, 1.0)
