"""RDMA devices from fake trees: by PCI address, with the numbers of their nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host import read_node, refresh
from koordnri.host.files import HostFiles
from koordnri.host.rdma import read_rdma_cm, read_rdma_devices
from koordnri.model import Device
from tests.host.trees import HostTree


def uverbs(tree: HostTree, number: int, where: str, dev: str | None = None) -> HostTree:
    """A verbs device in the tree of devices, and its links, as in sysfs."""
    entry = f"sys/devices/{where}/infiniband_verbs/uverbs{number}"
    tree.write(f"{entry}/dev", f"{dev if dev is not None else f'231:{192 + number}'}\n")
    tree.write(f"{entry}/ibdev", f"mlx5_{number}\n")
    (tree.root / entry / "device").symlink_to("../..")
    link = tree.root / f"sys/class/infiniband_verbs/uverbs{number}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"../../devices/{where}/infiniband_verbs/uverbs{number}")
    return tree.write("sys/class/infiniband_verbs/abi_version", "6\n")


PHYSICAL = "pci0000:00/0000:00:01.0/0000:09:00.0"
VIRTUAL = "pci0000:00/0000:00:01.0/0000:09:00.2"


def test_every_function_has_its_own_node(tmp_path: Path) -> None:
    tree = uverbs(uverbs(HostTree(tmp_path), 0, PHYSICAL), 1, VIRTUAL)
    files = HostFiles(tree.root)
    assert read_rdma_devices(files) == {
        "0000:09:00.0": {"/dev/infiniband/uverbs0": Device("c", 231, 192)},
        "0000:09:00.2": {"/dev/infiniband/uverbs1": Device("c", 231, 193)},
    }
    assert not files.problems


def test_a_function_with_two_ports_may_have_two_nodes(tmp_path: Path) -> None:
    tree = uverbs(uverbs(HostTree(tmp_path), 3, PHYSICAL), 12, PHYSICAL)
    assert read_rdma_devices(HostFiles(tree.root)) == {
        "0000:09:00.0": {
            "/dev/infiniband/uverbs3": Device("c", 231, 195),
            "/dev/infiniband/uverbs12": Device("c", 231, 204),
        }
    }


@pytest.mark.parametrize("where", ["virtual/net/rxe0", f"{PHYSICAL}/mlx5_core.sf.4"], ids=["software", "sub-function"])
def test_what_has_no_pci_address_is_left_out_in_silence(tmp_path: Path, where: str) -> None:
    files = HostFiles(uverbs(uverbs(HostTree(tmp_path), 0, where), 1, VIRTUAL).root)
    assert set(read_rdma_devices(files)) == {"0000:09:00.2"}
    assert not files.problems


@pytest.mark.parametrize("number", ["", "231", "231:", "a:0", "-1:0", "1:2:3", "9" * 30 + ":1"])
def test_a_nonsensical_number_costs_that_device_only(tmp_path: Path, number: str) -> None:
    files = HostFiles(uverbs(uverbs(HostTree(tmp_path), 0, PHYSICAL, number), 1, VIRTUAL).root)
    assert set(read_rdma_devices(files)) == {"0000:09:00.2"}
    [problem] = files.problems
    assert "uverbs0/dev: expected major:minor, got" in problem


def test_the_connection_manager(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    assert read_rdma_cm(HostFiles(tree.root)) is None
    tree.write("sys/class/misc/rdma_cm/dev", "10:123\n")
    assert read_rdma_cm(HostFiles(tree.root)) == Device("c", 10, 123)


def test_most_nodes_have_none_and_that_is_no_problem(tmp_path: Path) -> None:
    node = read_node(tmp_path, "n")
    assert (node.rdma_devices, node.rdma_cm) == ({}, None)
    assert not [p for p in node.problems if "infiniband" in p or "rdma" in p]


def test_numbers_that_a_reloaded_driver_gave_again_are_followed_by_the_next_short_look(tmp_path: Path) -> None:
    tree = uverbs(HostTree(tmp_path), 0, PHYSICAL)
    before = read_node(tmp_path, "n")
    assert refresh(before, tmp_path, full=False) is before
    tree.write(f"sys/devices/{PHYSICAL}/infiniband_verbs/uverbs0/dev", "231:200\n")
    after = refresh(before, tmp_path, full=False)
    assert after.rdma_devices == {"0000:09:00.0": {"/dev/infiniband/uverbs0": Device("c", 231, 200)}}


def test_new_devices_are_found_by_a_full_look(tmp_path: Path) -> None:
    before = read_node(tmp_path, "n")
    uverbs(HostTree(tmp_path), 0, PHYSICAL)
    assert refresh(before, tmp_path, full=False) is before
    assert refresh(before, tmp_path, full=True).rdma_devices


def test_no_cdi_devices_are_asked_of_a_runtime_that_is_not_known(tmp_path: Path) -> None:
    node = read_node(tmp_path, "n")
    assert "not known" in node.no_cdi
    assert refresh(node, tmp_path, full=True).no_cdi == node.no_cdi
