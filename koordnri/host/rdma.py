"""RDMA devices by PCI address, with the device nodes that a container needs for them.

Numbers come from sysfs: nodes in /dev are udev's copies, and a daemon in a container does not see the host's /dev.
"""

from __future__ import annotations

import os
import re

from koordnri.host.files import HostFiles
from koordnri.model import Device

_VERBS = "sys/class/infiniband_verbs"
_CM = "sys/class/misc/rdma_cm"
_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", re.ASCII)


def read_rdma_devices(files: HostFiles) -> dict[str, dict[str, Device]]:
    """`0000:09:00.0` → `/dev/infiniband/uverbs0` → its node. A virtual function has its own address.

    Devices without a PCI function (software RDMA, sub-functions) have no address by which the scheduler could name them.
    """
    found: dict[str, dict[str, Device]] = {}
    for name in sorted((files.entries(_VERBS) or ((), ()))[0]):
        if not name.startswith("uverbs"):
            continue
        address = os.path.basename(os.path.realpath(files.path(f"{_VERBS}/{name}/device")))
        if _PCI.fullmatch(address) and (node := _node(files, f"{_VERBS}/{name}/dev")) is not None:
            found.setdefault(address, {})[f"/dev/infiniband/{name}"] = node
    return found


def read_rdma_cm(files: HostFiles) -> Device | None:
    """The connection manager's node; None without the kernel's module rdma_ucm."""
    return _node(files, f"{_CM}/dev")


def _node(files: HostFiles, path: str) -> Device | None:
    text = files.text(path)
    if text is None:
        return None
    major, colon, minor = text.partition(":")
    if not (colon and len(text) < 20 and text.isascii() and major.isdecimal() and minor.isdecimal()):
        files.bad(path, text, "major:minor")
        return None
    return Device("c", int(major), int(minor))
