"""The NUMA node of each GPU, by the minor number that a scheduler names it by.

NVIDIA's driver lists its devices with their minors in /proc/driver/nvidia/gpus. Elsewhere device N is the kernel's render node 128 + N.
"""

from __future__ import annotations

import re

from koordnri.host.files import HostFiles

_NVIDIA = "proc/driver/nvidia/gpus"
_DRM = "sys/class/drm"
_FIRST_RENDER_NODE = 128
_MINOR = re.compile(r"^Device Minor:\s*([0-9]{1,6})\s*$", re.MULTILINE | re.ASCII)
_RENDER = re.compile(r"render[D]([0-9]{3,6})", re.ASCII)


def read_gpu_numa_nodes(files: HostFiles) -> dict[int, int]:
    """Minor → NUMA node, of devices whose node the firmware states; a machine with one node states none."""
    if nvidia := files.entries(_NVIDIA):
        found = ((_minor_of(files, address), f"sys/bus/pci/devices/{address}") for address in nvidia[0])
    else:
        names = (name for kind in files.entries(_DRM) or ((), ()) for name in kind)
        renders = (render for name in names if (render := _RENDER.fullmatch(name)))
        found = ((int(one[1]) - _FIRST_RENDER_NODE, f"{_DRM}/{one[0]}/device") for one in renders)
    nodes = {}
    for minor, device in found:
        if minor is not None and files.exists(f"{device}/numa_node"):
            node = files.number(f"{device}/numa_node")
            if node is not None and node >= 0:
                nodes[minor] = node
    return nodes


def _minor_of(files: HostFiles, address: str) -> int | None:
    found = _MINOR.search(files.text(f"{_NVIDIA}/{address}/information") or "")
    return int(found[1]) if found else None
