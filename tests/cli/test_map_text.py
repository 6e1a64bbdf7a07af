"""The map as text."""

from __future__ import annotations

import re

import pytest

from koordnri.model import CPUSet
from koordnri.model.topology import Topology
from tests.cli.drawn_map import LARGE_L3, MACHINES, SIXTEEN, SMALL_L3, TWO, owned, shape_of, text_of


def test_the_picture_of_a_small_machine() -> None:
    shape = shape_of(SIXTEEN, exclusive_cpus=owned("5-6,13"), kubelet_reserved=CPUSet([0]), isolated_cpus=CPUSet([15]))
    assert text_of(shape, 80) == [
        "CPUs of node n1",
        "1 socket, 2 NUMA nodes, 2 L3 caches, 8 cores, 16 CPUs: 3 owned, 1 reserved, 1",
        "isolated, 11 shared",
        "",
        "socket 0, NUMA node 0",
        "  0-3,8-11         L3 0 #. .. .. ..",
        "socket 0, NUMA node 1",
        "  4-7,12-15        L3 1 .. AA A. .=",
        "",
        "A  shop/web main  LSE  5-6,13  by koordnri",
        ".  shared by containers without exclusive CPUs  1-4,7-12,14",
        "#  reserved for the system                      0",
        "=  isolated from the kernel's scheduler         15",
        "no share pools: nothing is taken, so all containers may use all shared CPUs",
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("topology", MACHINES.values(), ids=MACHINES)
def test_every_cpu_is_in_the_picture_and_no_line_is_too_long(topology: Topology, width: int) -> None:
    lines = text_of(shape_of(topology, exclusive_cpus=owned("0-1")), width)
    assert max(map(len, lines)) <= width
    cells = [re.sub(r"^  \S+ +|L3 \d+ *", "", line) for line in lines if re.match("  [0-9]", line)]
    assert sum(len(line.replace(" ", "")) for line in cells) == len(topology.cpus)
    assert "".join(cells).count("A") == 2


def test_384_cpus_take_few_lines() -> None:
    assert len(text_of(shape_of(SMALL_L3), 120)) < 24
    assert len(text_of(shape_of(LARGE_L3), 120)) < 24


def test_offline_cpus_and_pools_and_a_node_of_which_nothing_is_known() -> None:
    lines = text_of(shape_of(TWO, offline_cpus=CPUSet([2, 3])), 80)
    assert lines[lines.index("offline") + 1] == "  2-3              --"
    assert text_of(shape_of(None), 80)[1] == "The node's CPU topology is not known."
