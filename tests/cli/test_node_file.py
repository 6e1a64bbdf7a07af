"""The file that describes a node."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from koordnri.cli.node_file import load_node, read_node
from koordnri.model import CPUSet, NodeState
from koordnri.model.node import Pool
from koordnri.model.schemata import MemoryBandwidth
from koordnri.policy import DocumentError


def mistakes(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_node(text)
    return [str(m) for m in caught.value.mistakes]


@pytest.mark.parametrize("text", ["", "{}", "# nothing"])
def test_every_key_is_optional(text: str) -> None:
    assert load_node(text) == NodeState()


def test_all_keys() -> None:
    node = load_node(
        """
        name: n1
        labels: {pool: a}
        annotations: {node.koordinator.sh/system-qos-resource: '{"cpuset":"0"}'}
        memory: 64Gi
        pageSize: 16Ki
        topology: {sockets: 2, numaPerSocket: 1, coresPerNuma: 2, threadsPerCore: 2}
        isolatedCPUs: 6-7
        offlineCPUs: 8-9
        podsCPUs: 1-7
        cgroup: {version: 1, driver: cgroupfs}
        kubelet: {cpuManagerPolicy: static, reservedCPUs: 0-1}
        resctrl: {vendor: amd, cbmMask: 7ff, numClosids: 8, cacheIDs: [0, 4], groups: [BE]}
        sharePools: [{socket: 0, node: 0, cpuset: "0-1,4-5"}]
        beSharePools: [{socket: 1, node: 1, cpuset: "2-3"}]
        blockDevices: {/dev/sda: "8:0"}
        """
    )
    assert (node.name, node.labels, node.memory_bytes, node.page_bytes) == ("n1", {"pool": "a"}, 64 << 30, 16384)
    assert node.topology is not None
    assert [(c.core, c.numa, c.socket) for c in node.topology.cpus] == [(0, 0, 0), (1, 0, 0), (2, 1, 1), (3, 1, 1)] * 2
    assert (node.cgroup_version, node.cgroup_driver) == (1, "cgroupfs")
    assert (node.kubelet_cpu_policy, node.kubelet_reserved) == ("static", CPUSet([0, 1]))
    assert [str(cpus) for cpus in (node.isolated_cpus, node.offline_cpus, node.pods_cpus)] == ["6-7", "8-9", "1-7"]
    assert node.resctrl is not None
    assert (node.resctrl.vendor, node.resctrl.cbm_mask, node.resctrl.num_closids) == ("amd", 0x7FF, 8)
    assert (node.resctrl.cache_ids, node.resctrl.groups) == ((0, 4), frozenset({"BE"}))
    assert node.ls_pools == (Pool(0, 0, "0-1,4-5"),)
    assert node.be_pools == (Pool(1, 1, "2-3"),)
    assert node.block_devices == {"/dev/sda": "8:0"}
    assert node.system_cpus == "0"
    assert node.problems == ()


def test_annotations_mean_what_they_mean_to_the_daemon() -> None:
    node = load_node(
        """
        topology: {coresPerNuma: 4, threadsPerCore: 2}
        kubelet: {reservedCPUs: "7"}
        annotations:
          node.koordinator.sh/reservation: '{"resources":{"cpu":"2"}}'
          node.koordinator.sh/system-qos-resource: '{"cpuset":"1","cpusetExclusive":false}'
          node.koordinator.sh/cpu-normalization-ratio: "1.20"
          node.koordinator.sh/cpu-shared-pools: '[{"cpuset":"0-7"}]'
        """
    )
    assert (str(node.reserved_cpus), str(node.kubelet_reserved)) == ("0,4", "7")
    assert (node.system_cpus, node.system_exclusive) == ("1", False)
    assert node.normalization_ratio == Fraction(6, 5)
    assert node.ls_pools == (Pool(0, 0, "0-7"),)


def test_json_will_do() -> None:
    assert load_node('{"memory": 1024, "cgroup": {"version": 1}}') == NodeState(memory_bytes=1024, cgroup_version=1)


def test_cpus_one_by_one() -> None:
    node = load_node("cpus: [{cpu: 4, core: 0, l3: 1, numa: 2, socket: 3}, {cpu: 1, numa: 1}]")
    assert node.topology is not None
    assert [(c.cpu, c.core, c.l3, c.numa, c.socket) for c in node.topology.cpus] == [(1, 1, 1, 1, 0), (4, 0, 1, 2, 3)]
    assert node.topology.online == CPUSet([1, 4])


def test_a_daemon_without_rights_to_resctrl_is_described_too() -> None:
    node = load_node("resctrl: {groups: [BE], managed: false}")
    assert node.resctrl is not None
    assert "no rights" in node.resctrl.read_only
    assert node.resctrl.why_not("BE") == ""
    assert node.resctrl.why_not("LS") == node.resctrl.read_only


@pytest.mark.parametrize(
    ("described", "bandwidth"),
    [
        ("cacheIDs: [0, 4]", MemoryBandwidth((0, 4))),
        ("vendor: amd, cacheIDs: [0]", MemoryBandwidth((0,), "1/8 GB/s", 1, 1, 2048)),
        ("cacheIDs: [0], memoryBandwidth: false", None),
        ("", None),  # whose, nobody knows
    ],
)
def test_memory_bandwidth_of_resctrl(described: str, bandwidth: MemoryBandwidth | None) -> None:
    node = load_node(f"resctrl: {{{described}}}")
    assert node.resctrl is not None
    assert node.resctrl.bandwidth == bandwidth


def test_resctrl_defaults() -> None:
    node = load_node("{topology: {numaPerSocket: 2}, resctrl: {}}")
    assert node.resctrl is not None
    assert node.resctrl.cache_ids == (0, 1)
    assert node.resctrl.groups == {"LSR", "LS", "BE"}
    assert node.resctrl.read_only == ""


@pytest.mark.parametrize("text", ['"7ff"', "7ff", "0x7ff", "2047", '"0x7ff"'])
def test_mask_spellings(text: str) -> None:
    node = load_node(f"resctrl: {{cbmMask: {text}}}")
    assert node.resctrl is not None
    assert node.resctrl.cbm_mask == 0x7FF


def test_pools_of_the_annotation_count_where_the_file_has_none() -> None:
    annotated = """
annotations:
  node.koordinator.sh/cpu-shared-pools: '[{"socket":0,"node":0,"cpuset":"0-7"}]'
  node.koordinator.sh/be-cpu-shared-pools: '[{"socket":0,"node":0,"cpuset":"0-3"}]'
"""
    assert load_node(annotated).ls_pools == (Pool(0, 0, "0-7"),)
    assert load_node(annotated).be_pools == (Pool(0, 0, "0-3"),)
    assert load_node(annotated + "sharePools: []").ls_pools == ()


def test_a_bad_annotation_is_a_problem_and_no_mistake() -> None:
    node = load_node('annotations: {node.koordinator.sh/cpu-normalization-ratio: "0"}')
    assert node.normalization_ratio is None
    assert len(node.problems) == 1
    good = load_node('annotations: {node.koordinator.sh/cpu-normalization-ratio: "1.20"}')
    assert good.normalization_ratio == Fraction(6, 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("topology: {sockets: two}", ['topology.sockets: expected an integer at least 1, got "two"']),
        ("topology: {sockets: 0}", ["topology.sockets: expected at least 1, got 0"]),
        (
            "topology: {socket: 1}",
            [
                "topology.socket: unknown key, expected one of sockets, numaPerSocket, coresPerNuma, threadsPerCore; "
                "did you mean sockets?"
            ],
        ),
        ("topology: {sockets: 9000}", ["topology.sockets: expected at most 8192 CPUs in all, got 9000"]),
        ("{topology: {}, cpus: [{cpu: 0}]}", ["cpus: given beside topology: keep one of them"]),
        ("cpus: []", ["cpus: expected at least one CPU, got none"]),
        ("cpus: [{cpu: 0}, {cpu: 0}]", ["cpus[1].cpu: given twice: 0"]),
        ("cpus: [{core: 0}]", ["cpus[0].cpu: expected a value, it is missing"]),
        ("cpus: [{cpu: 8192}]", ["cpus[0].cpu: expected 0..8191, got 8192"]),
        ("memory: 1Gx", ['memory: expected a quantity such as 10M or 1Gi, got "1Gx"']),
        ("pageSize: 3", ["pageSize: expected a power of two such as 4Ki, got 3"]),
        (
            "cgroup: {version: 3, driver: systemctl}",
            ["cgroup.version: expected 1..2, got 3", 'cgroup.driver: expected cgroupfs or systemd, got "systemctl"'],
        ),
        (
            "kubelet: {cpuManagerPolicy: dynamic}",
            ['kubelet.cpuManagerPolicy: expected none or static, got "dynamic"'],
        ),
        (
            "kubelet: {reservedCPUs: 0-x}",
            ['kubelet.reservedCPUs: "x" at position 0 of "0-x": expected a CPU number 0..8191'],
        ),
        (
            "topology: {coresPerNuma: 4}\nisolatedCPUs: 3-4\npodsCPUs: x",
            [
                "isolatedCPUs: expected CPUs of 0-3, which are online, got 4",
                'podsCPUs: "x" at position 0 of "x": expected a CPU number 0..8191',
            ],
        ),
        (
            "topology: {coresPerNuma: 4}\nofflineCPUs: 3-5",
            ["offlineCPUs: expected none of the node's online CPUs, got 3"],
        ),
        ("offlineCPUs: x", ['offlineCPUs: "x" at position 0 of "x": expected a CPU number 0..8191']),
        (
            '{topology: {coresPerNuma: 4}, sharePools: [{cpuset: "0-3"}, {cpuset: "2-5"}]}',
            ["sharePools[1].cpuset: expected CPUs of 0-3, which are online, got 4-5"],
        ),
        (
            '{topology: {coresPerNuma: 4}, beSharePools: [{cpuset: "3-1"}]}',
            ['beSharePools[0].cpuset: "3-1" at position 0: expected start <= end'],
        ),
        (
            "resctrl: {cbmMask: 100}",
            [
                'resctrl.cbmMask: expected hexadecimal digits of ones only, as in the kernel\'s file, such as "7ff", '
                "got 100"
            ],
        ),
        ("labels: {a: 1}", ["labels.a: expected text, got 1"]),
        ("blockDevices: {/dev/sda: sda}", ['blockDevices./dev/sda: expected major:minor such as "8:16", got "sda"']),
        ("{name: a, name: b}", ["name: given twice"]),
        ("- a", ['expected a mapping, got ["a"]']),
        ("a: [", ["broken YAML, line 1 column 5: expected the node content, but found '<stream end>'"]),
    ],
)
def test_mistakes_are_named_by_their_path(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


def test_all_mistakes_at_once() -> None:
    found = mistakes("{memory: x, name: 3, cgroup: {version: 0}}")
    assert [m.partition(":")[0] for m in found] == ["memory", "name", "cgroup.version"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file or directory"):
        read_node(tmp_path / "node.yaml")


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(DocumentError) as caught:
        read_node("/dev/zero")
    assert [str(m) for m in caught.value.mistakes] == ["expected at most 4 MiB"]
