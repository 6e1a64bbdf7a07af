"""Bytes and operations of disks."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.io import IOBytes, read_io
from tests.host.usage.usage_tree import CGROUP, UsageTree


def test_v1_before_the_recursive_files_of_io(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 1)
    tree.path("blkio/blkio.throttle.io_service_bytes_recursive").unlink()
    assert read_io(tree.files, CGROUP) == IOBytes(99, 99)
