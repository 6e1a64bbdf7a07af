"""Which NUMA nodes have memory."""

from pathlib import Path

import pytest

from koordnri.host import read_node, refresh
from tests.host.trees import HostTree


@pytest.mark.parametrize(("text", "nodes"), [("0-1\n", "0-1"), ("0,2\n", "0,2"), ("\n", "")])
def test_nodes_with_memory_are_as_the_kernel_lists_them(tmp_path: Path, text: str, nodes: str) -> None:
    HostTree(tmp_path).write("sys/devices/system/node/has_memory", text)
    node = read_node(tmp_path, "n")
    assert node.memory_nodes == nodes
    HostTree(tmp_path).write("sys/devices/system/node/has_memory", "0-3\n")
    assert refresh(node, tmp_path, full=True).memory_nodes == "0-3"


def test_a_kernel_without_the_file_reports_nothing_and_nonsense_is_reported(tmp_path: Path) -> None:
    assert read_node(tmp_path, "n").memory_nodes == ""
    HostTree(tmp_path).write("sys/devices/system/node/has_memory", "some\n")
    node = read_node(tmp_path, "n")
    assert node.memory_nodes == ""
    assert any("has_memory" in problem for problem in node.problems)
