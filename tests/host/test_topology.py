"""CPU topology from fake sysfs trees."""

from pathlib import Path

import pytest

from koordnri.host import read_node
from koordnri.model.cpuset import CPUSet
from koordnri.model.node import NodeState
from koordnri.model.topology import CPU, Topology
from tests.host.trees import HostTree


def amd_8_l3() -> Topology:
    """An EPYC with 32 cores in 8 core complexes of 4, in one NUMA node."""
    return Topology.of([CPU(32 * t + core, core, core // 4, 0, 0) for t in range(2) for core in range(32)])


def snc() -> Topology:
    """A socket cut into 2 NUMA nodes (sub-NUMA clustering) that share the socket's L3."""
    return Topology.of([CPU(8 * t + core, core, 0, core // 4, 0) for t in range(2) for core in range(8)])


def siblings(topology: Topology) -> set[frozenset[int]]:
    """The cores as sets of CPUs, whatever their numbers."""
    cores = {cpu.core for cpu in topology.cpus}
    return {frozenset(cpu.cpu for cpu in topology.cpus if cpu.core == core) for core in cores}


def read(tree: HostTree) -> NodeState:
    return read_node(tree.root, "n")


@pytest.mark.parametrize(
    "topology",
    [
        pytest.param(Topology.regular(1, 1, 4, 1), id="1x1x4x1"),
        pytest.param(Topology.regular(2, 1, 8, 2), id="2x1x8x2"),
        pytest.param(Topology.regular(2, 2, 2, 2), id="2x2x2x2"),
        pytest.param(amd_8_l3(), id="amd-8-l3-in-one-node"),
        pytest.param(snc(), id="snc-two-nodes-in-one-l3"),
    ],
)
@pytest.mark.parametrize("l3_id", [True, False], ids=["l3-with-id", "l3-by-shared-cpus"])
def test_the_topology_is_read_as_the_machine_has_it(tmp_path: Path, topology: Topology, l3_id: bool) -> None:
    assert read(HostTree(tmp_path).cpus(topology, l3_id=l3_id)).topology == topology


def test_l3_ids_are_the_kernels_even_when_sparse(tmp_path: Path) -> None:
    sparse = Topology.of([CPU(n, n, l3, 0, 0) for n, l3 in enumerate([0, 0, 8, 8])])
    assert read(HostTree(tmp_path).cpus(sparse)).topology == sparse


@pytest.mark.parametrize(
    ("offline", "online"), [((0,), "1-7"), ((3,), "0-2,4-7"), ((1, 2, 5), "0,3-4,6-7"), ((4, 5, 6, 7), "0-3")]
)
def test_offline_cpus_are_left_out_without_disturbing_the_others(
    tmp_path: Path, offline: tuple[int, ...], online: str
) -> None:
    whole = Topology.regular(1, 1, 4, 2)
    node = read(HostTree(tmp_path).cpus(whole, offline=offline))
    assert node.topology is not None
    assert str(node.topology.online) == online
    assert siblings(node.topology) == siblings(Topology.of([cpu for cpu in whole.cpus if cpu.cpu not in offline]))
    assert not [p for p in node.problems if "devices/system" in p]


def test_cores_of_two_dies_and_sockets_with_the_same_core_id_stay_apart(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).write("sys/devices/system/cpu/online", "0-7\n")
    for cpu in range(8):
        tree.core(cpu, core_id=0, package=cpu // 4, die=cpu // 2 % 2)
    topology = read(tree).topology
    assert topology is not None
    assert [(c.core, c.socket) for c in topology.cpus] == [(0, 0)] * 2 + [(2, 0)] * 2 + [(4, 1)] * 2 + [(6, 1)] * 2


def in_clusters(tree: HostTree, threads: dict[int, str]) -> HostTree:
    """ARM or RISC-V with a device tree, Linux >= 6.0: one package, in which core_id starts again in each cluster of four."""
    tree.write("sys/devices/system/cpu/online", f"{CPUSet(threads)}\n")
    for cpu, text in threads.items():
        tree.core(cpu, core_id=cpu % 4, package=0, threads=text)
    return tree


def test_core_ids_that_start_again_in_each_cluster_make_no_threads_of_cores(tmp_path: Path) -> None:
    node = read(in_clusters(HostTree(tmp_path), {cpu: str(cpu) for cpu in range(8)}))
    assert node.topology is not None
    assert [c.core for c in node.topology.cpus] == list(range(8))
    assert node.threads_per_core == 1


def test_cores_of_two_threads_in_clusters_are_distinguished_by_the_list_of_their_threads(tmp_path: Path) -> None:
    pairs = {cpu: f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}" for cpu in range(8)}
    topology = read(in_clusters(HostTree(tmp_path), pairs)).topology
    assert topology is not None
    assert [c.core for c in topology.cpus] == [0, 0, 2, 2, 4, 4, 6, 6]


@pytest.mark.parametrize("listed", ["0,4", "4"], ids=["still-listed", "no-longer-listed"])
def test_a_core_whose_first_thread_is_offline_is_called_by_the_other(tmp_path: Path, listed: str) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 2), offline=[0])
    tree.write("sys/devices/system/cpu/cpu4/topology/thread_siblings_list", f"{listed}\n")
    node = read(tree)
    assert node.topology is not None
    assert [(c.cpu, c.core) for c in node.topology.cpus] == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 1), (6, 2), (7, 3)]
    assert not [p for p in node.problems if "devices/system" in p]


def test_the_list_of_threads_is_found_under_its_younger_name(tmp_path: Path) -> None:
    tree = in_clusters(HostTree(tmp_path), {cpu: str(cpu) for cpu in range(8)})
    for cpu in range(8):
        directory = f"sys/devices/system/cpu/cpu{cpu}/topology"
        tree.remove(f"{directory}/thread_siblings_list").write(f"{directory}/core_cpus_list", f"{cpu}\n")
    assert read(tree).threads_per_core == 1


def test_without_lists_of_threads_the_core_ids_are_asked(tmp_path: Path) -> None:
    whole = Topology.regular(2, 1, 2, 2)
    tree = HostTree(tmp_path).cpus(whole)
    for cpu in range(8):
        tree.remove(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    assert read(tree).topology == whole


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n", 'expected a list with CPU 0 in it, got ""'),
        ("1\n", 'expected a list with CPU 0 in it, got "1"'),
        ("0-x\n", '"x" at position 0 of "0-x": expected a CPU number 0..8191'),
    ],
)
def test_a_list_of_threads_that_cannot_be_is_reported_and_the_core_id_asked(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = "sys/devices/system/cpu/cpu0/topology/thread_siblings_list"
    node = read(HostTree(tmp_path).cpus(Topology.regular(1, 1, 2, 1)).write(path, text))
    assert node.topology == Topology.regular(1, 1, 2, 1)
    assert f"{tmp_path}/{path}: {problem}" in node.problems


@pytest.mark.parametrize(("text", "cpus"), [("2-3\n", "2-3"), ("\n", ""), ("0-x\n", ""), (None, "")])
def test_cpus_that_the_kernels_command_line_isolates(tmp_path: Path, text: str | None, cpus: str) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 1))
    if text is not None:
        tree.write("sys/devices/system/cpu/isolated", text)
    node = read(tree)
    assert str(node.isolated_cpus) == cpus
    assert any("isolated: " in p for p in node.problems) is (text == "0-x\n")


@pytest.mark.parametrize(("present", "cpus"), [("0-7\n", "4-7"), ("0-3\n", ""), ("0-x\n", ""), (None, "")])
def test_cpus_that_are_plugged_in_and_offline(tmp_path: Path, present: str | None, cpus: str) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 1))
    if present is not None:
        tree.write("sys/devices/system/cpu/present", present)
    assert str(read(tree).offline_cpus) == cpus


def test_a_kernel_without_numa_is_one_node(tmp_path: Path) -> None:
    node = read(HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 2), numa=False))
    assert node.topology is not None
    assert {c.numa for c in node.topology.cpus} == {0}
    assert not [p for p in node.problems if "system/node" in p]


def test_without_l3_the_numa_node_stands_for_it(tmp_path: Path) -> None:
    topology = read(HostTree(tmp_path).cpus(Topology.regular(2, 1, 2, 2), l3=False)).topology
    assert topology == Topology.regular(2, 1, 2, 2)  # whose L3 numbers are those of the NUMA nodes


def test_an_l3_that_is_not_at_index3_is_found(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 2, 1), l3=False)
    for cpu in range(2):
        tree.cache(cpu, 4, level=3, shared=str(cpu), number=10 + cpu)
    topology = read(tree).topology
    assert topology is not None
    assert [c.l3 for c in topology.cpus] == [10, 11]


def test_l3_numbers_stay_apart_when_only_some_caches_have_an_id(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 6, 1), l3=False)
    for cpu in range(4):
        tree.cache(cpu, 3, level=3, shared="0-1" if cpu < 2 else "2-3", number=1 if cpu < 2 else None)
    topology = read(tree).topology
    assert topology is not None
    assert [c.l3 for c in topology.cpus] == [0, 0, 1, 1, 2, 2]


def test_a_node_with_memory_only_has_no_cpus(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 1)).numa_node(1, CPUSet())
    node = read(tree)
    assert node.topology == Topology.regular(1, 1, 4, 1)
    assert not [p for p in node.problems if "system/node" in p]


def test_a_cpu_without_topology_is_a_core_of_its_own_and_a_problem(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 4, 1))
    node = read(tree.remove("sys/devices/system/cpu/cpu2/topology").remove("sys/devices/system/cpu/cpu3/topology"))
    assert node.topology is not None
    assert len({c.core for c in node.topology.cpus}) == 4
    assert str(node.topology.online) == "0-3"
    assert [p for p in node.problems if "cpu[2-3]/topology" in p] == [
        f"{tmp_path}/sys/devices/system/cpu/cpu[2-3]/topology: expected physical_package_id, found nothing",
        f"{tmp_path}/sys/devices/system/cpu/cpu[2-3]/topology: expected thread_siblings_list or core_id, found nothing",
    ]


def test_minus_one_means_that_the_firmware_does_not_report(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 2, 1))
    for cpu in range(2):
        tree.core(cpu, core_id=cpu, package=-1, die=-1)
    node = read(tree)
    assert node.topology == Topology.regular(1, 1, 2, 1)
    assert not [p for p in node.problems if "topology" in p]


def test_a_cpu_that_no_numa_node_has_is_in_node_0_and_a_problem(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(2, 1, 2, 1)).write("sys/devices/system/node/node1/cpulist", "2\n")
    node = read(tree)
    assert node.topology is not None
    assert [c.numa for c in node.topology.cpus] == [0, 0, 1, 0]
    assert any(p.endswith("expected each CPU in one NUMA node, got none for 3; 0 taken") for p in node.problems)


@pytest.mark.parametrize(
    ("online", "problem"),
    [
        (None, "expected the list of online CPUs, found nothing"),
        ("\n", 'expected at least one CPU, got ""'),
        ("0-x\n", '"x" at position 0 of "0-x": expected a CPU number 0..8191'),
        ("0-4000000000\n", '"4000000000" at position 0 of "0-4000000000": expected a CPU number 0..8191'),
    ],
)
def test_without_a_list_of_cpus_there_is_no_topology_but_a_problem(
    tmp_path: Path, online: str | None, problem: str
) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 1, 2, 1))
    path = "sys/devices/system/cpu/online"
    node = read(tree.remove(path) if online is None else tree.write(path, online))
    assert node.topology is None
    assert f"{tmp_path}/{path}: {problem}" in node.problems
