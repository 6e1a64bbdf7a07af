"""Pods' volumes and the disks below them, from the host's mount table.

    <kubelet>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>[/mount]          a file system; /mount: CSI's
    <kubelet>/plugins/kubernetes.io/csi/volumeDevices/<name>/dev/<uid>          a block device of the host's /dev, bound there
    <kubelet>/plugins/kubernetes.io~local-volume/volumeDevices/<name>/<uid>     the same of a local PersistentVolume

kubelet mounts all before it asks the runtime for the pod's sandbox. `name` is the PersistentVolume's; an ephemeral CSI volume has the name
that the pod gives it. Not included: volumes without a disk (memory, NFS), volumes in kubelet's own directory (emptyDir), and block devices
of plugins that name them otherwise (fc, iscsi, rbd).

The pod's name for a volume behind a claim is nowhere in kubelet's directories, and the pod's spec does not say what a claim is bound to:
`koordnri.model.Pod.places_of` connects them.
"""

from __future__ import annotations

import os

from koordnri.host.devices import Storage
from koordnri.host.files import HostFiles

_TABLES = ("proc/1/mountinfo", "proc/self/mountinfo")
"""The mount table of the host's first process, else our own. A daemon in a container sees the host's /proc below its root."""
_VOLUMES = b"/volumes/kubernetes.io~"
_BLOCK_VOLUMES = b"/volumeDevices/"
_DEVICES = "devtmpfs"
"""File system of the host's /dev. A device made elsewhere may have any name."""
_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 64 << 20


def read_pod_volumes(files: HostFiles, storage: Storage) -> dict[str, dict[str, tuple[str, ...]]]:
    """Pod's uid → volume → paths of its disks, sorted."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in _table(files).splitlines():
        # proc(5): id parent major:minor root mount-point options [optional…] - type source options
        if (_VOLUMES not in line and _BLOCK_VOLUMES not in line) or len(words := line.split(b" ")) < 7:
            continue
        number, root, point = (word.decode(errors="replace") for word in words[2:5])
        kind, source, *_ = (*line.partition(b" - ")[2].decode(errors="replace").split(" "), "", "")
        if _VOLUMES in words[4]:
            # btrfs has a number that belongs to no device; then the source counts.
            volume, disks = _file_system(point), storage.disks_of(number) or storage.disks_of(source)
        else:
            volume, disks = _block_device(point), storage.disks_of(f"/dev{root}") if kind == _DEVICES else ()
        if volume and disks:
            uid, name = volume
            found.setdefault(uid, {})[name] = disks
    return found


def _file_system(point: str) -> tuple[str, str] | None:
    """(uid, name)"""
    match point.rpartition("/pods/")[2].split("/"):
        case [uid, "volumes", _, name] | [uid, "volumes", _, name, "mount"] if uid and name:
            return uid, name
    return None  # deeper paths are mounts inside the volume


def _block_device(point: str) -> tuple[str, str] | None:
    """(uid, name)"""
    plugin, _, below = point.rpartition("/volumeDevices/")
    match below.split("/"):
        case [name, "dev", uid] if name and uid and plugin.endswith("/kubernetes.io/csi"):
            return uid, name
        case [name, uid] if name and uid and plugin.endswith("/kubernetes.io~local-volume"):
            return uid, name
    return None  # for CSI, `staging` and `publish` show the same device


def _table(files: HostFiles) -> bytes:
    """The whole mount table: unlike files of sysfs it can be long, and must be read in pieces."""
    for path in _TABLES:
        try:
            fd = os.open(files.path(path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            data = bytearray()
            while len(data) < _MOST_BYTES and (piece := os.read(fd, _CHUNK_BYTES)):
                data += piece
            return bytes(data)
        except OSError:
            continue
        finally:
            os.close(fd)
    return b""
