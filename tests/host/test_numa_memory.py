"""What each NUMA node has of memory, and how far the others are."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.files import HostFiles
from koordnri.host.numa_memory import NUMAMemory, read_numa_memory
from tests.host.trees import HostTree

NODE = "sys/devices/system/node/node0"
MEMINFO = "Node 0 MemTotal:       16318480 kB\nNode 0 MemFree:        123456 kB\n"
TOTAL = 16_318_480 * 1024


def read(tree: HostTree) -> NUMAMemory:
    return read_numa_memory(HostFiles(tree.root), [0])[0]


def test_huge_pages_are_taken_out_of_the_memory(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).write(f"{NODE}/meminfo", MEMINFO).write(f"{NODE}/distance", "10 21\n")
    tree.write(f"{NODE}/hugepages/hugepages-2048kB/nr_hugepages", "512\n")
    tree.write(f"{NODE}/hugepages/hugepages-1048576kB/nr_hugepages", "1\n")
    tree.write(f"{NODE}/hugepages/hugepages-64kB/nr_hugepages", "0\n")
    assert read(tree) == NUMAMemory(
        {
            "memory": TOTAL - (2 << 30),
            "hugepages-2Mi": 1 << 30,
            "hugepages-1Gi": 1 << 30,
            "hugepages-64Ki": 0,
        },
        (10, 21),
    )


@pytest.mark.parametrize("text", ["", "Node 0 MemTotal: lots kB\n", "MemTotal: 5 kB\n"])
def test_what_the_kernel_does_not_say_is_left_out(tmp_path: Path, text: str) -> None:
    tree = HostTree(tmp_path).write(f"{NODE}/meminfo", text).write(f"{NODE}/distance", "10 near\n")
    tree.write(f"{NODE}/hugepages/hugepages-xkB/nr_hugepages", "3\n")
    tree.write(f"{NODE}/hugepages/hugepages-2048kB/nr_hugepages", "many\n")
    assert read(tree) == NUMAMemory({}, ())


def test_a_host_without_the_files_has_nothing(tmp_path: Path) -> None:
    assert read(HostTree(tmp_path)) == NUMAMemory({}, ())
