"""CPUs that kubelet's configuration file keeps for the system, and its Topology Manager."""

from pathlib import Path

import pytest

from koordnri.cpus.allocator import Allocator
from koordnri.host import read_node, refresh
from koordnri.host.files import HostFiles
from koordnri.host.kubelet_config import TopologyManager, read_topology_manager
from koordnri.model.topology import Topology
from tests.host.trees import HostTree

FILE = "var/lib/kubelet/config.yaml"
HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        pytest.param(HEAD + "reservedSystemCPUs: 0-1,8\nmaxPods: 110\n", "0-1,8", id="plain"),
        pytest.param(HEAD + 'reservedSystemCPUs: "0"  # one is enough\n', "0", id="quoted"),
        pytest.param(HEAD + "reservedSystemCPUs: '2,3'\n", "2-3", id="single-quoted"),
        pytest.param(HEAD + "reservedSystemCPUs: 0\n", "0", id="a-number"),
        pytest.param('{"kind": "KubeletConfiguration", "reservedSystemCPUs": "4-5"}', "4-5", id="json"),
        pytest.param(HEAD + "cpuManagerPolicy: static\n", "", id="nothing-reserved"),
        pytest.param(HEAD + 'reservedSystemCPUs: ""\n', "", id="empty"),
        pytest.param(HEAD + "reservedSystemCPUs: null\n", "", id="null"),
        pytest.param(HEAD + "# reservedSystemCPUs: 0-1\nother:\n  reservedSystemCPUs: 2\n", "", id="elsewhere"),
        pytest.param('{"reservedSystemCPUs": null}', "", id="json-null"),
        pytest.param("{kind: KubeletConfiguration}", "", id="flow-style"),
        pytest.param("", "", id="empty-file"),
    ],
)
def test_reserved_cpus_are_those_of_kubelets_configuration(tmp_path: Path, text: str, cpus: str) -> None:
    node = read_node(HostTree(tmp_path).write(FILE, text).root, "n")
    assert str(node.kubelet_reserved) == cpus
    assert not [p for p in node.problems if FILE in p]


@pytest.mark.parametrize(
    "text", ["reservedSystemCPUs: all\n", '{"reservedSystemCPUs": 7}', "reservedSystemCPUs: 3-1\n"]
)
def test_what_is_no_list_of_cpus_is_reported_and_reserves_nothing(tmp_path: Path, text: str) -> None:
    node = read_node(HostTree(tmp_path).write(FILE, text).root, "n")
    assert not node.kubelet_reserved
    assert [p for p in node.problems if FILE in p]


def test_without_the_file_nothing_is_reserved_and_nothing_is_wrong(tmp_path: Path) -> None:
    assert not read_node(tmp_path, "n").kubelet_reserved
    assert not [p for p in read_node(tmp_path, "n").problems if FILE in p]


def test_nobody_shares_what_kubelet_reserves(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cpus(Topology.regular(1, 2, 4, 1))
    node = read_node(tree.root, "n")
    assert Allocator().applied(node) is node
    node = refresh(node, tree.write(FILE, HEAD + "reservedSystemCPUs: 0,4\n").root, full=True)
    shared = Allocator().applied(node)
    assert [p.cpus for p in shared.ls_pools] == [p.cpus for p in shared.be_pools] == ["1-3", "5-7"]


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        pytest.param(
            HEAD + "topologyManagerPolicy: single-numa-node\ntopologyManagerScope: pod\n",
            TopologyManager("single-numa-node", "pod"),
            id="both",
        ),
        pytest.param('{"topologyManagerPolicy": "best-effort"}', TopologyManager("best-effort"), id="json"),
        pytest.param(HEAD + "topologyManagerPolicy: tight\ntopologyManagerScope: node\n", TopologyManager(), id="odd"),
        pytest.param('{"topologyManagerPolicy": ["none"]}', TopologyManager(), id="no-text"),
        pytest.param(HEAD, TopologyManager(), id="defaults"),
    ],
)
def test_the_topology_manager_is_as_configured_or_else_as_by_default(
    tmp_path: Path, text: str, manager: TopologyManager
) -> None:
    assert read_topology_manager(HostFiles(HostTree(tmp_path).write(FILE, text).root)) == manager


def test_without_the_file_the_topology_manager_is_as_by_default(tmp_path: Path) -> None:
    assert read_topology_manager(HostFiles(tmp_path)) == TopologyManager()
