"""What a cgroup uses, on v1 and v2, and with files that are missing, malformed or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.usage.cpu import CPUTime
from koordnri.host.usage.io import IOBytes
from koordnri.host.usage.memory import MemoryUse
from koordnri.host.usage.pressure import Pressure
from koordnri.host.usage.usage import Usage, read_usage
from tests.host.usage.usage_tree import CGROUP, MIB, NO_PRESSURE, UsageTree


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


# -- threads ----------------------------------------------------------------------------------------------------------
