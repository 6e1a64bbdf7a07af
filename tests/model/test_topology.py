"""Topology: regular machines are numbered as Linux does on x86."""

import pytest

from koordnri.model import CPUSet
from koordnri.model.topology import CPU, Topology


def cpus_of(topology, **wanted):
    return str(CPUSet(c.cpu for c in topology.cpus if all(getattr(c, k) == v for k, v in wanted.items())))


@pytest.mark.parametrize(
    ("shape", "numas"),
    [
        pytest.param((1, 1, 4, 1), ["0-3"], id="one-node-no-threads"),
        pytest.param((1, 1, 4, 2), ["0-7"], id="one-node-two-threads"),
        pytest.param((2, 1, 4, 2), ["0-3,8-11", "4-7,12-15"], id="two-sockets"),
        pytest.param((1, 2, 2, 2), ["0-1,4-5", "2-3,6-7"], id="two-nodes-of-one-socket"),
        pytest.param((2, 2, 1, 1), ["0", "1", "2", "3"], id="four-nodes"),
    ],
)
def test_a_regular_machine(shape, numas):
    sockets, numa_per_socket, cores_per_numa, threads = shape
    topology = Topology.regular(*shape)
    count = sockets * numa_per_socket * cores_per_numa * threads
    assert [c.cpu for c in topology.cpus] == list(range(count))
    assert topology.online == CPUSet(range(count))
    assert [cpus_of(topology, numa=n) for n in range(len(numas))] == numas
    assert {c.socket for c in topology.cpus} == set(range(sockets))
    assert all(c.numa // numa_per_socket == c.socket for c in topology.cpus)


def test_threads_of_a_core_share_core_cache_node_and_socket():
    topology = Topology.regular(2, 1, 4, 2)
    assert topology.cpus[5] == CPU(5, 5, 1, 1, 1)
    assert topology.cpus[13] == CPU(13, 5, 1, 1, 1)


def test_cpus_are_kept_in_order_with_holes():
    topology = Topology.of([CPU(9, 1, 0, 0, 0), CPU(2, 0, 0, 0, 0)])
    assert [c.cpu for c in topology.cpus] == [2, 9]
    assert str(topology.online) == "2,9"


BIG_LITTLE = Topology.of([CPU(n, n // 2 * 2 if n < 4 else n, 0, 0, 0) for n in range(6)])
"""Two cores of two threads, two cores of one."""
UNEQUAL = Topology.of([CPU(n, n, 0, 0 if n < 4 else 1, 0 if n < 4 else 1) for n in range(6)])
"""A socket of four CPUs, one of two."""


@pytest.mark.parametrize(
    ("topology", "count", "cpus"),
    [
        pytest.param(Topology.regular(1, 1, 4, 2), 2, "0,4", id="a-core"),
        pytest.param(Topology.regular(1, 1, 4, 2), 1, "0", id="a-thread"),
        pytest.param(Topology.regular(1, 1, 4, 2), 3, "0-1,4", id="a-core-and-a-thread"),
        pytest.param(Topology.regular(1, 1, 4, 2), 8, "0-7", id="all"),
        pytest.param(Topology.regular(1, 1, 4, 2), 9, "None", id="more-than-all"),
        pytest.param(Topology.regular(1, 1, 4, 2), 0, "", id="none"),
        pytest.param(Topology.regular(1, 2, 2, 2), 6, "0-2,4-6", id="a-numa-node-and-a-core"),
        pytest.param(Topology.regular(2, 2, 1, 2), 6, "0-2,4-6", id="a-socket-and-a-numa-node"),
        pytest.param(UNEQUAL, 2, "4-5", id="a-small-socket-that-fits"),
        pytest.param(UNEQUAL, 1, "4", id="the-socket-with-the-least"),
        pytest.param(BIG_LITTLE, 1, "4", id="a-core-of-one-thread"),
    ],
)
def test_cpus_are_packed_as_kubelet_and_koordlet_do(topology, count, cpus):
    assert str(topology.packed(count)) == cpus
