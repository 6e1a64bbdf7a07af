"""CPU time and its limit."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.usage.cpu import CPUTime, read_cpu
from tests.host.usage.usage_tree import UsageTree


def test_the_quota_of_cruns_inner_cgroup_counts(tmp_path: Path) -> None:
    tree = UsageTree(tmp_path, 2)
    scope = "kubepods.slice/cri-containerd-c1.scope"
    tree.write("cpu.stat", "usage_usec 9\nthrottled_usec 5\n", scope)
    assert read_cpu(tree.files, scope) == CPUTime(9, 5)
    tree.write("cpu.stat", "usage_usec 9\nthrottled_usec 7\n", f"{scope}/container")
    assert read_cpu(tree.files, scope) == CPUTime(9, 7)
