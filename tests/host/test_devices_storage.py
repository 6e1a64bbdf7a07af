"""What lies below a block device, volume groups, pods' volumes, the root's cost control, and the runtime's block I/O classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host.devices import Storage, read_storage, split_lvm_name
from koordnri.host.files import HostFiles
from koordnri.model import fields
from koordnri.model.routes import WRITE
from tests.host.trees import LVM, HostTree, disks, read


def storage(tree: HostTree) -> Storage:
    return read_storage(HostFiles(tree.root))


# -- below a device ---------------------------------------------------------------------------------------------------


def test_below_a_logical_volume_are_the_disks_of_its_group_that_it_lies_on(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path)).mapped("dm-0", "253:0", "vg0-root", uuid=LVM, below=("sda2", "sdb"))
    found = storage(tree)
    assert found.disks_of("253:0") == ("/dev/sda", "/dev/sdb")
    assert found.disks_of("/dev/mapper/vg0-root") == ("/dev/sda", "/dev/sdb")
    assert found.devices["/dev/vg0/root"] == "253:0", "named by itself it is limited by itself"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("8:2", ("/dev/sda",)),
        ("8:0", ("/dev/sda",)),
        ("/dev/sda1", ("/dev/sda",)),
        ("259:0", ("/dev/nvme0n1",)),
        ("0:33", ()),
        ("tmpfs", ()),
        ("/dev/none", ()),
    ],
)
def test_below_a_partition_or_disk_is_the_disk(tmp_path: Path, device: str, expected: tuple[str, ...]) -> None:
    assert storage(disks(HostTree(tmp_path))).disks_of(device) == expected


def test_the_way_down_leads_through_encryption_and_raid(tmp_path: Path) -> None:
    tree = (
        disks(HostTree(tmp_path))
        .disk("md0", "9:0", under="virtual", below=("sda1", "sdb"))
        .mapped("dm-1", "253:1", "luks-0", uuid="CRYPT-LUKS2-0-luks-0", below=("md0",))
        .mapped("dm-2", "253:2", "vg-lv", uuid=LVM, below=("dm-1",))
    )
    assert storage(tree).disks_of("253:2") == ("/dev/sda", "/dev/sdb")


def test_the_way_down_ends_at_a_multipath_device(tmp_path: Path) -> None:
    """What its paths are sent is not throttled there any more."""
    tree = (
        disks(HostTree(tmp_path))
        .mapped("dm-0", "253:0", "mpatha", uuid="mpath-3600140", below=("sda", "sdb"))
        .mapped("dm-1", "253:1", "mpatha1", uuid="part1-mpath-3600140", below=("dm-0",))
    )
    assert storage(tree).disks_of("253:1") == ("/dev/dm-0",)


def test_devices_that_lie_on_each_other_or_on_nothing_end_somewhere(tmp_path: Path) -> None:
    tree = (
        HostTree(tmp_path)
        .mapped("dm-0", "253:0", "vg-a", uuid=LVM, below=("dm-1",))
        .mapped("dm-1", "253:1", "vg-b", uuid=LVM, below=("dm-0", "gone"))
    )
    assert storage(tree).disks_of("253:0") == ("/dev/dm-1",)


# -- volume groups ----------------------------------------------------------------------------------------------------


def test_a_volume_group_lies_on_the_disks_of_all_its_volumes(tmp_path: Path) -> None:
    tree = (
        disks(HostTree(tmp_path))
        .mapped("dm-0", "253:0", "my--data-logs", uuid=LVM, below=("sda2",))
        .mapped("dm-1", "253:1", "my--data-db", uuid=LVM, below=("sdb",))
        .mapped("dm-2", "253:2", "fast-thin-tpool", uuid=LVM, below=("nvme0n1",))
        .mapped("dm-3", "253:3", "luks-5f1c", uuid="CRYPT-LUKS2-5f1c", below=("sda1",))
        .mapped("dm-4", "253:4", "no-uuid", below=("sda1",))
    )
    node = read(tree)
    assert node.volume_groups == {"my-data": ("/dev/sda", "/dev/sdb"), "fast": ("/dev/nvme0n1",)}
    assert node.block_devices is not None
    assert node.block_devices["/dev/my-data/logs"] == "253:0"
    assert "/dev/luks/5f1c" not in node.block_devices


@pytest.mark.parametrize(
    ("mapped", "names"),
    [
        ("vg0-root", ("vg0", "root")),
        ("my--data-logs", ("my-data", "logs")),
        ("a---b", ("a-", "b")),
        ("a-b--c", ("a", "b-c")),
        ("vg-pool-tpool", ("vg", "pool-tpool")),
        ("vg-", None),
        ("-lv", None),
        ("a--b", None),
        ("plain", None),
        ("", None),
    ],
)
def test_LVM_names_are_split_at_the_single_dash(mapped: str, names: tuple[str, str] | None) -> None:
    assert split_lvm_name(mapped) == names


NAMES = st.text("ab-_.", min_size=1, max_size=8).filter(lambda name: name[0] != "-")


@given(NAMES, NAMES)
def test_what_LVM_joins_is_split_again(group: str, volume: str) -> None:
    joined = f"{group.replace('-', '--')}-{volume.replace('-', '--')}"
    assert split_lvm_name(joined) == (group, volume)


# -- pods' volumes ----------------------------------------------------------------------------------------------------


def test_the_disks_below_each_device_are_known_by_its_number(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path)).mapped("dm-0", "253:0", "vg-pvc", uuid=LVM, below=("sda2", "sdb"))
    sda, both = ("/dev/sda",), ("/dev/sda", "/dev/sdb")
    expected = {"8:0": sda, "8:1": sda, "8:2": sda, "8:16": ("/dev/sdb",), "259:0": ("/dev/nvme0n1",), "253:0": both}
    assert read(tree).disks_below == expected


# -- the root's cost control ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_cost_control_is_there_where_the_root_shows_its_files(tmp_path: Path, version: int) -> None:
    where = "sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/blkio"
    prefix = "io" if version == 2 else "blkio"
    tree = HostTree(tmp_path)
    tree = tree.cgroup_v2(cgroups={"kubepods": ()}) if version == 2 else tree.cgroup_v1("kubepods")
    (tmp_path / "sys/fs/cgroup/io.cost.qos").unlink(missing_ok=True)
    assert read(tree).root_files == frozenset()
    tree.write(f"{where}/{prefix}.cost.qos", "").write(f"{where}/{prefix}.cost.model", "")
    node = read(tree)
    routed = {field for field, route in node.root_routes.items() if route == WRITE}
    assert routed == {fields.IO_COST_QOS, fields.IO_COST_MODEL}
    assert node.pod_routes[fields.IO_COST_QOS] != WRITE, "no other cgroup has it"


def test_v1_shows_its_throttles_before_there_is_any_cgroup(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).cgroup_v1().write("sys/fs/cgroup/blkio/blkio.throttle.read_bps_device", "")
    assert read(tree).pod_routes[fields.IO_READ_BPS] == WRITE


# -- the runtime's block I/O classes ----------------------------------------------------------------------------------
