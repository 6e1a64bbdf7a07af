"""GET /v1/node and `koordnri node`: the file describes the node again."""

from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner

from koordnri.answers.node import described
from koordnri.cli import cli
from koordnri.cli.node_file import load_node
from tests.observe.driven import Driven, driven

NODES = {
    "nothing known": "",
    "regular": "{name: n1, memory: 64Gi, topology: {sockets: 2, numaPerSocket: 2, coresPerNuma: 4, threadsPerCore: 2}}",
    "everything": """
name: n2
labels: {zone: a}
annotations: {}
memory: 1Gi
pageSize: 64Ki
cpuModel: Example 9000
turbo: true
cpus: [{cpu: 0, core: 0, l3: 7, numa: 0, socket: 0}, {cpu: 3, core: 9, l3: 8, numa: 1, socket: 1}]
isolatedCPUs: "3"
offlineCPUs: 1-2
podsCPUs: "0,3"
cgroup: {version: 1, driver: cgroupfs}
kubelet: {cpuManagerPolicy: static, reservedCPUs: "0"}
resctrl: {vendor: amd, cbmMask: 7ff, numClosids: 8, cacheIDs: [7, 8], groups: [LS], memoryBandwidth: true, managed: false}
sharePools: [{socket: 0, node: 0, cpuset: "0"}]
beSharePools: [{socket: 1, node: 1, cpuset: "3"}]
blockDevices: {/dev/vda: "8:16"}
""",
}


@pytest.mark.parametrize("text", NODES.values(), ids=NODES)
def test_a_described_node_reads_back_as_the_same_node(text: str) -> None:
    node = load_node(text)
    assert load_node(yaml.safe_dump(described(node))) == node


def test_share_pools_that_this_node_computes_are_left_out_for_the_reader_computes_them() -> None:
    node = replace(load_node(NODES["everything"]), pools_are_local=True)
    assert (described(node)["sharePools"], described(node)["beSharePools"]) == ([], [])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Driven:
    with driven(tmp_path_factory.mktemp("node")) as it:
        yield it


def test_the_command_prints_the_running_daemons_node(running: Driven) -> None:
    state_dir = str(running.policy.parent / "state")
    printed = CliRunner().invoke(cli, ["node", "--state-dir", state_dir])
    assert printed.exit_code == 0, printed.output
    assert load_node(printed.output).name == "n"


def test_a_daemon_that_is_not_there_is_named(tmp_path) -> None:
    printed = CliRunner().invoke(cli, ["node", "--state-dir", str(tmp_path)])
    assert printed.exit_code == 2
    assert f"{tmp_path}/koordnri.sock: there is no such socket" in printed.output
