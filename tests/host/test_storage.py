"""What lies below a block device, volume groups, pods' volumes, the root's cost control, and the runtime's block I/O classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host import read_node, refresh
from koordnri.host.devices import Storage, read_storage, split_lvm_name
from koordnri.host.files import HostFiles
from koordnri.model import NodeState, fields
from koordnri.model.routes import WRITE
from tests.host.trees import HostTree, whole_host

LVM = "LVM-3kTdVd0Zq1r"
UID = "5c0e1b0e-1111-2222-3333-444455556666"
KUBELET = f"/var/lib/kubelet/pods/{UID}/volumes"


def storage(tree: HostTree) -> Storage:
    return read_storage(HostFiles(tree.root))


def read(tree: HostTree) -> NodeState:
    return read_node(tree.root, "n")


def disks(tree: HostTree) -> HostTree:
    """Three disks, of which one has partitions."""
    return tree.disk("sda", "8:0", {"sda1": "8:1", "sda2": "8:2"}).disk("sdb", "8:16").disk("nvme0n1", "259:0")


def bound(device: str, point: str, *, fs: str = "devtmpfs") -> str:
    """A block device of /dev, bound onto a file."""
    return f"78 29 0:6 /{device} {point} rw,nosuid shared:2 - {fs} udev rw,size=4k,mode=755\n"


def mount(number: str, point: str, *, fs: str = "ext4", source: str = "/dev/x", optional: str = "shared:7 ") -> str:
    return f"77 29 {number} / {point} rw,relatime {optional}- {fs} {source} rw\n"


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


def test_a_pods_volumes_are_found_by_kubelets_mount_points(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path)).mapped("dm-0", "253:0", "vg-pvc", uuid=LVM, below=("sdb",))
    tree.write(
        "proc/1/mountinfo",
        mount("8:1", "/")
        + mount("0:21", f"{KUBELET}/kubernetes.io~projected/token", fs="tmpfs", source="tmpfs")
        + mount("253:0", f"{KUBELET}/kubernetes.io~csi/pvc-1/mount")
        + mount("8:2", f"{KUBELET}/kubernetes.io~local-volume/local-1", optional="")
        + mount("0:44", f"{KUBELET}/kubernetes.io~csi/tree/mount", fs="btrfs", source="/dev/sda2")
        + mount("0:55", f"{KUBELET}/kubernetes.io~nfs/share", fs="nfs4", source="server:/share")
        + mount("8:16", f"{KUBELET}/kubernetes.io~csi/pvc-2/mount/deeper")
        + mount("8:16", "/data/kubelet/pods/other/volumes/kubernetes.io~csi/pvc-3/mount"),
    )
    assert read(tree).pod_volumes == {
        UID: {"pvc-1": ("/dev/sdb",), "local-1": ("/dev/sda",), "tree": ("/dev/sda",)},
        "other": {"pvc-3": ("/dev/sdb",)},
    }


PLUGINS = "/var/lib/kubelet/plugins"
CSI = f"{PLUGINS}/kubernetes.io/csi/volumeDevices"


def test_raw_block_volumes_are_found_by_what_kubelet_binds(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path)).mapped("dm-0", "253:0", "vg-pvc", uuid=LVM, below=("sdb",))
    tree.disk("cciss!c0d0", "104:0")
    tree.write(
        "proc/1/mountinfo",
        bound("dm-0", f"{CSI}/staging/pvc-1")
        + bound("dm-0", f"{CSI}/publish/pvc-1/{UID}")
        + bound("dm-0", f"{CSI}/pvc-1/dev/{UID}")
        + bound("cciss/c0d0", f"{CSI}/pvc-2/dev/{UID}")
        + bound("sda2", f"{PLUGINS}/kubernetes.io~local-volume/volumeDevices/local-1/other")
        + bound("sda", f"{CSI}/made-elsewhere/dev/{UID}", fs="tmpfs")
        + bound("sda//deleted", f"{CSI}/unplugged/dev/{UID}")
        + bound("sda", f"{CSI}/pvc-4/dev/{UID}/deeper")
        + bound("sda", f"/srv/volumeDevices/pvc-5/dev/{UID}")
        + mount("8:16", f"{CSI}/pvc-6/dev/{UID}")
        + mount("8:1", f"{KUBELET}/kubernetes.io~csi/pvc-3/mount"),
    )
    assert read(tree).pod_volumes == {
        UID: {"pvc-1": ("/dev/sdb",), "pvc-2": ("/dev/cciss/c0d0",), "pvc-3": ("/dev/sda",)},
        "other": {"local-1": ("/dev/sda",)},
    }


def test_the_disks_below_each_device_are_known_by_its_number(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path)).mapped("dm-0", "253:0", "vg-pvc", uuid=LVM, below=("sda2", "sdb"))
    sda, both = ("/dev/sda",), ("/dev/sda", "/dev/sdb")
    expected = {"8:0": sda, "8:1": sda, "8:2": sda, "8:16": ("/dev/sdb",), "259:0": ("/dev/nvme0n1",), "253:0": both}
    assert read(tree).disks_below == expected


def test_a_mount_that_comes_is_seen_at_the_next_full_look(tmp_path: Path) -> None:
    tree = whole_host(tmp_path)
    before = read(tree)
    assert before.pod_volumes == {}
    tree.write("proc/1/mountinfo", mount("8:1", f"{KUBELET}/kubernetes.io~csi/pv/mount"))
    assert refresh(before, tmp_path, full=False) is before
    after = refresh(before, tmp_path, full=True)
    assert after.pod_volumes == {UID: {"pv": ("/dev/sda",)}}
    assert refresh(after, tmp_path, full=True) is after


def test_where_the_first_process_is_hidden_our_own_mounts_count(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path))
    tree.write("proc/self/mountinfo", mount("8:1", f"{KUBELET}/kubernetes.io~csi/pv/mount"))
    assert read(tree).pod_volumes == {UID: {"pv": ("/dev/sda",)}}


def test_a_mount_table_of_any_length_is_read_whole(tmp_path: Path) -> None:
    tree = disks(HostTree(tmp_path))
    lines = [mount("8:1", f"/var/lib/kubelet/pods/p{i}/volumes/kubernetes.io~csi/pv/mount") for i in range(20_000)]
    tree.write("proc/1/mountinfo", "".join(lines))
    found = read(tree).pod_volumes
    assert found is not None
    assert len(found) == 20_000


PIECES = (
    "/",
    " ",
    "8:1",
    "\n",
    " - ",
    "devtmpfs",
    "/volumeDevices/",
    "/volumes/kubernetes.io~csi/",
    "/kubernetes.io/csi",
    "dev",
    "x",
)


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=80))
def test_no_mount_table_is_too_odd(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    tree = HostTree(tmp_path_factory.mktemp("host")).disk("sda", "8:0", {"sda1": "8:1"})
    (tree.root / "proc/1").mkdir(parents=True)
    (tree.root / "proc/1/mountinfo").write_bytes(text.encode(errors="surrogatepass"))
    found = read(tree).pod_volumes
    assert found is not None
    assert all(volume for volumes in found.values() for volume in volumes)


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

CLASSES = "Classes:\n  slow:\n  - Weight: 10\n  fast: []\n"
CONTAINERD = 'version = 3\n[plugins."io.containerd.service.v1.tasks-service"]\nblockio_config_file = "{}"\n'
CRIO = '[crio.runtime]\nblockio_config_file = "{}"\n'


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param({}, None, id="no-runtime's-configuration"),
        pytest.param({"containerd/config.toml": "version = 3\n"}, set(), id="no-classes-in-containerd"),
        ({"containerd/config.toml": CONTAINERD.format("/etc/io.yaml"), "io.yaml": CLASSES}, {"slow", "fast"}),
        pytest.param({"containerd/config.toml": CONTAINERD.format("/etc/io.yaml")}, None, id="its-file-is-missing"),
        pytest.param(
            {"containerd/config.toml": 'imports = ["/etc/containerd/conf.d/*.toml"]\n'}, None, id="imports-may-say-more"
        ),
        pytest.param({"crio/crio.conf": ""}, set(), id="no-classes-in-CRI-O"),
        ({"crio/crio.conf.d/10-io.conf": CRIO.format("/etc/io.yaml"), "io.yaml": CLASSES}, {"slow", "fast"}),
        pytest.param(
            {"crio/crio.conf": CRIO.format("/etc/a"), "crio/crio.conf.d/9": CRIO.format("/etc/io"), "io": CLASSES},
            {"slow", "fast"},
            id="the-last-word-counts",
        ),
        pytest.param(
            {"crio/crio.conf": "", "containerd/config.toml": CONTAINERD.format("/etc/io"), "io": CLASSES},
            {"slow", "fast"},
            id="which-of-two-runs-is-not-known",
        ),
        ({"containerd/config.toml": CONTAINERD.format("/etc/io"), "io": "- Classes"}, set()),
        ({"containerd/config.toml": "plugins = 5\n"}, set()),
    ],
)
def test_the_classes_are_those_of_the_file_that_the_runtimes_configuration_names(
    tmp_path: Path, written: dict[str, str], expected: set[str] | None
) -> None:
    tree = HostTree(tmp_path)
    for path, text in written.items():
        tree.write(f"etc/{path}", text)
    node = read(tree)
    assert node.blockio_classes == expected
    assert not [problem for problem in node.problems if "/etc/" in problem]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("etc/containerd/config.toml", "secret = ", "expected TOML"),
        ("etc/crio/crio.conf", "[[", "expected TOML"),
        ("etc/io", "Classes: {", "expected the YAML of block I/O classes"),
    ],
)
def test_a_configuration_that_cannot_be_understood_is_told_without_its_text(
    tmp_path: Path, path: str, text: str, told: str
) -> None:
    tree = HostTree(tmp_path).write("etc/containerd/config.toml", CONTAINERD.format("/etc/io")).write(path, text)
    node = read(tree)
    assert node.blockio_classes is None
    [problem] = [problem for problem in node.problems if "/etc/" in problem]
    assert problem.startswith(f"{tmp_path}/{path}: {told}")
    assert text not in problem
