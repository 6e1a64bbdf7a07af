"""Pods' volumes and the disks below them, from the host's mount table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host import refresh
from tests.host.trees import LVM, HostTree, disks, read, whole_host

UID = "5c0e1b0e-1111-2222-3333-444455556666"
KUBELET = f"/var/lib/kubelet/pods/{UID}/volumes"


def bound(device: str, point: str, *, fs: str = "devtmpfs") -> str:
    """A block device of /dev, bound onto a file."""
    return f"78 29 0:6 /{device} {point} rw,nosuid shared:2 - {fs} udev rw,size=4k,mode=755\n"


def mount(number: str, point: str, *, fs: str = "ext4", source: str = "/dev/x", optional: str = "shared:7 ") -> str:
    return f"77 29 {number} / {point} rw,relatime {optional}- {fs} {source} rw\n"


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
