"""The NUMA nodes that have memory: a container bound only to others does not start."""

from __future__ import annotations

from koordnri.host.files import HostFiles

_HAS_MEMORY = "sys/devices/system/node/has_memory"


def read_memory_nodes(files: HostFiles) -> str:
    """The kernel's list, such as `0-1`; "" when unknown. A node may have CPUs without memory, or memory without CPUs (CXL)."""
    nodes = files.cpus(_HAS_MEMORY)
    return "" if nodes is None else str(nodes)
