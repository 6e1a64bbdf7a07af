"""Pods' volumes and the disks that they lie on, from the host's mount table.

Kubelet mounts a volume below .../pods/<uid>/volumes/kubernetes.io~<plugin>/<name>, CSI's into `mount` there, and does so before it asks
the runtime for the pod's sandbox. `name` is the PersistentVolume's; an ephemeral volume has the name that the pod gives to it.
Volumes without a disk (memory, NFS) and those that lie in kubelet's own directory (emptyDir) are not among them.
"""

from __future__ import annotations

import os

from koordnri.host.devices import Storage
from koordnri.host.files import HostFiles

_TABLES = ("proc/1/mountinfo", "proc/self/mountinfo")
"""Of the host's first process; of ours, where that one is hidden from us. A daemon in a container sees the host's /proc below its root."""
_PODS = b"/pods/"
_VOLUMES = b"/volumes/kubernetes.io~"
_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 64 << 20


def read_pod_volumes(files: HostFiles, storage: Storage) -> dict[str, dict[str, tuple[str, ...]]]:
    """Pod's uid → volume → paths of its disks, sorted."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for line in _table(files).splitlines():
        # proc(5): id parent major:minor root mount-point options [optional…] - type source options
        if _VOLUMES not in line or len(words := line.split(b" ")) < 7:
            continue
        match words[4].rpartition(_PODS)[2].decode(errors="replace").split("/"):
            case [uid, "volumes", _, name] | [uid, "volumes", _, name, "mount"] if uid and name:
                pass
            case _:  # deeper ones are mounts within the volume
                continue
        # btrfs shows a number that is no device's; then the source tells.
        source = line.partition(b" - ")[2].split(b" ")[1:2]
        disks = storage.disks_of(words[2].decode(errors="replace"))
        disks = disks or (storage.disks_of(source[0].decode(errors="replace")) if source else ())
        if disks:
            found.setdefault(uid, {})[name] = disks
    return found


def _table(files: HostFiles) -> bytes:
    """The mount table whole: unlike the files of sysfs it can be long, and comes in pieces."""
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
