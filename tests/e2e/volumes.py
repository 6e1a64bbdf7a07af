"""Pods' volumes on a real disk, where kubelet mounts and maps those of CSI: a directory of the disk, or the disk itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.e2e import lab, pods


class Volume(NamedTuple):
    """One volume of a pod."""

    path: Path
    """that kubelet gives to the runtime: a directory, or a link to a block device"""
    number: str
    """of the whole disk that it lies on, as cgroup files have it"""


class Volumes:
    """Kubelet's directory is below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mounted: list[Path] = []

    def mounted(self, uid: str, name: str) -> Volume:
        """A PersistentVolume with a file system."""
        point = self._root / f"pods/{uid}/volumes/kubernetes.io~csi/{name}/mount"
        point.mkdir(parents=True)
        self._bind(lab.LAB_DIR, point)
        device = point.stat().st_dev
        entry = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
        whole = entry.parent if (entry / "partition").exists() else entry
        return Volume(point, (whole / "dev").read_text().strip())

    def raw(self, uid: str, name: str) -> Volume:
        """A raw block PersistentVolume: its device is bound by PersistentVolume and pod, and linked to by the pod's directory."""
        disk, number = pods.disk()
        bound = self._root / f"plugins/kubernetes.io/csi/volumeDevices/{name}/dev/{uid}"
        link = self._root / f"pods/{uid}/volumeDevices/kubernetes.io~csi/{name}"
        for path in (bound, link):
            path.parent.mkdir(parents=True)
        bound.touch()
        self._bind(Path(disk), bound)
        link.symlink_to(disk)
        return Volume(link, number)

    def unmount(self) -> None:
        """All of them."""
        while self._mounted:
            subprocess.run(["umount", str(self._mounted.pop())], check=True)

    def _bind(self, source: Path, point: Path) -> None:
        subprocess.run(["mount", "--bind", str(source), str(point)], check=True)
        self._mounted.append(point)
