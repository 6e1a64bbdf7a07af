"""Memory in use, and its limits."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.memory import read_memory
from tests.host.usage.usage_tree import CGROUP, UsageTree


def test_more_cached_files_than_memory_is_no_negative_use(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("memory.stat", "inactive_file 99999999\n")
    assert read_memory(tree.files, CGROUP).used == 0


def test_a_limit_of_memory_high(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    tree.write("memory.high", "4096\n")
    assert read_memory(tree.files, CGROUP).high == 4096
