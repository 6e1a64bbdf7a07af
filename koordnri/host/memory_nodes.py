"""The NUMA nodes that have memory: a container that is bound to none of them does not start."""

from __future__ import annotations

from koordnri.host.files import HostFiles

_HAS_MEMORY = "sys/devices/system/node/has_memory"


def read_memory_nodes(files: HostFiles) -> str:
    """As the kernel lists them, `0-1`; "" where it does not tell. A node may have CPUs and no memory, or memory and no CPUs (CXL)."""
    nodes = files.cpus(_HAS_MEMORY)
    return "" if nodes is None else str(nodes)
