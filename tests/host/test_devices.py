"""Block devices, memory and kubelet's checkpoint from fake trees."""

import os
from pathlib import Path

import pytest

from koordnri.host import read_node
from koordnri.model import fields
from koordnri.model.decision import Setting
from koordnri.model.node import NodeState
from tests.host.trees import HostTree


def read(tree: HostTree) -> NodeState:
    return read_node(tree.root, "n")


def problems(node: NodeState, word: str) -> list[str]:
    return [p for p in node.problems if word in p]


def test_a_disk_is_known_by_its_path(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).disk("sda", "8:0").disk("nvme0n1", "259:0").disk("loop0", "7:0", under="virtual")
    assert read(tree).block_devices == {"/dev/sda": "8:0", "/dev/nvme0n1": "259:0", "/dev/loop0": "7:0"}


def test_a_partition_has_the_number_of_its_disk(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).disk("sda", "8:0", {"sda1": "8:1", "sda2": "8:2"}).disk("sdb", "8:16", {"sdb1": "8:17"})
    assert read(tree).block_devices == {
        "/dev/sda": "8:0",
        "/dev/sda1": "8:0",
        "/dev/sda2": "8:0",
        "/dev/sdb": "8:16",
        "/dev/sdb1": "8:16",
    }


def test_a_mapped_device_has_two_names(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).mapped("dm-0", "253:0", "vg0-root")
    assert read(tree).block_devices == {"/dev/dm-0": "253:0", "/dev/mapper/vg0-root": "253:0"}


def test_an_exclamation_mark_is_a_slash(tmp_path: Path) -> None:
    assert read(HostTree(tmp_path).disk("cciss!c0d0", "104:0")).block_devices == {"/dev/cciss/c0d0": "104:0"}


def test_a_setting_for_a_partition_is_written_with_its_disks_number(tmp_path: Path) -> None:
    node = read(HostTree(tmp_path).disk("sda", "8:0", {"sda1": "8:1"}))
    setting = Setting(fields.IO_MAX, "/dev/sda1", "rbps=1000", "blkio", "", "")
    assert node.unified_text(setting) == "8:0 rbps=1000"


def test_a_device_without_a_number_is_left_out_in_silence(tmp_path: Path) -> None:
    node = read(HostTree(tmp_path).disk("sda", "8:0").disk("nvme0c0n1", "0:0").remove("sys/class/block/nvme0c0n1/dev"))
    assert node.block_devices == {"/dev/sda": "8:0"}
    assert not problems(node, "block")


@pytest.mark.parametrize("number", ["", "8", "8:", "a:0", "8:0:0", "-8:0"])
def test_a_nonsensical_number_costs_that_device_only(tmp_path: Path, number: str) -> None:
    node = read(HostTree(tmp_path).disk("sda", "8:0").disk("sdb", number))
    assert node.block_devices == {"/dev/sda": "8:0"}
    assert problems(node, "block") == [f'{tmp_path}/sys/class/block/sdb/dev: expected major:minor, got "{number}"']


def test_without_sysfs_no_device_is_known(tmp_path: Path) -> None:
    """Not None: that would mean a described node, on which every device is taken to exist."""
    node = read_node(tmp_path, "n")
    assert node.block_devices == {}
    assert problems(node, "block") == [
        f"{tmp_path}/sys/class/block: expected the directory of block devices, found nothing"
    ]


def test_memory_is_the_total_in_bytes(tmp_path: Path) -> None:
    assert read(HostTree(tmp_path).meminfo(16_318_480)).memory_bytes == 16_318_480 * 1024


@pytest.mark.parametrize("text", ["", "MemTotal: 1 MB\n", "MemTotal: kB\n", "MemTotal: -1 kB\n", "MemTotal: 9e9 kB\n"])
def test_nonsensical_memory_is_unknown_and_a_problem(tmp_path: Path, text: str) -> None:
    node = read(HostTree(tmp_path).write("proc/meminfo", text))
    assert node.memory_bytes == 0
    assert len(problems(node, "proc/meminfo: expected a line such as MemTotal: 16318480 kB, got")) == 1


def test_pages_are_the_kernels(tmp_path: Path) -> None:
    assert read_node(tmp_path, "n").page_bytes == os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(("policy", "given"), [("static", "1-2,5"), ("none", "")])
def test_what_kubelets_cpu_manager_gave_away(tmp_path: Path, policy: str, given: str) -> None:
    entries = '{"uid-1": {"main": "1-2"}, "uid-2": {"main": "5", "side": ""}}'
    text = f'{{"policyName":"{policy}","defaultCpuSet":"0","entries":{entries},"checksum":1}}'
    assert str(read(HostTree(tmp_path).write("var/lib/kubelet/cpu_manager_state", text)).kubelet_cpus) == given


@pytest.mark.parametrize("policy", ["none", "static"])
def test_the_policy_of_kubelets_cpu_manager(tmp_path: Path, policy: str) -> None:
    assert read(HostTree(tmp_path).cpu_manager(policy)).kubelet_cpu_policy == policy


def test_without_a_checkpoint_the_policy_is_none_and_that_is_no_problem(tmp_path: Path) -> None:
    node = read_node(tmp_path, "n")
    assert node.kubelet_cpu_policy == "none"
    assert not problems(node, "kubelet")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"policyName": 5}', '{"policyName": "dynamic"}', "{}", "[" * 100_000, '{"a":' * 100_000],
    ids=["empty", "cut", "list", "null", "number", "unknown", "no-name", "deep-list", "deep-object"],
)
def test_a_nonsensical_checkpoint_is_policy_none_and_a_problem(tmp_path: Path, text: str) -> None:
    node = read(HostTree(tmp_path).write("var/lib/kubelet/cpu_manager_state", text))
    assert node.kubelet_cpu_policy == "none"
    assert problems(node, "kubelet") == [
        f"{tmp_path}/var/lib/kubelet/cpu_manager_state: "
        f'expected JSON with "policyName" none or static, and "entries" of CPU lists, got "{text[:60]}"'
    ]
