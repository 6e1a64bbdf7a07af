"""The node's memory and page size."""

from __future__ import annotations

import os
from functools import cache

from koordnri.host.files import HostFiles


def read_memory_bytes(files: HostFiles) -> int:
    """MemTotal in bytes; 0 when unknown.

    That is the node's capacity. kubelet's allocatable memory is less by its reservations, and only the API server knows it.
    """
    text = files.text("proc/meminfo")
    if text is None:
        files.missing("proc/meminfo", "MemTotal")
        return 0
    for line in text.splitlines():
        key, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if key == "MemTotal" and unit == "kB" and number.isascii() and number.isdecimal() and len(number) < 20:
            return int(number) * 1024
    files.bad("proc/meminfo", text, "a line such as MemTotal: 16318480 kB")
    return 0


@cache
def page_bytes() -> int:
    """Page size in bytes: the kernel's, so in a container also the host's."""
    return os.sysconf("SC_PAGE_SIZE")
