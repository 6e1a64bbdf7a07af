"""The memory of each NUMA node, and how far the NUMA nodes are from each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from koordnri.host.files import HostFiles

_NODE = "sys/devices/system/node/node{}"
_HUGE, _HUGE_END = "hugepages-", "kB"
_UNITS = ((1 << 20, "Gi"), (1 << 10, "Mi"), (1, "Ki"))


class NUMAMemory(NamedTuple):
    """What one NUMA node has."""

    amounts: dict[str, int]
    """`memory`, `hugepages-2Mi`, … as in a Node's capacity → bytes; without what the kernel does not say"""
    distances: tuple[int, ...]
    """to the online NUMA nodes, in their order (10: itself); empty when unknown"""


def read_numa_memory(files: HostFiles, nodes: Iterable[int]) -> dict[int, NUMAMemory]:
    """NUMA node → its memory. Huge pages do not count as memory, as in a Node's allocatable."""
    return {node: _read(files, node) for node in nodes}


def _read(files: HostFiles, node: int) -> NUMAMemory:
    directory = _NODE.format(node)
    amounts = _huge_pages(files, f"{directory}/hugepages")
    if (total := _total_bytes(files.text(f"{directory}/meminfo") or "")) is not None:
        amounts["memory"] = max(total - sum(amounts.values()), 0)
    words = (files.text(f"{directory}/distance") or "").split()
    return NUMAMemory(amounts, tuple(map(int, words)) if all(map(_is_number, words)) else ())


def _total_bytes(text: str) -> int | None:
    for line in text.splitlines():
        words = line.split()  # Node 0 MemTotal: 16318480 kB
        if len(words) == 5 and words[2] == "MemTotal:" and words[4] == "kB" and _is_number(words[3]):
            return int(words[3]) * 1024
    return None


def _huge_pages(files: HostFiles, directory: str) -> dict[str, int]:
    amounts: dict[str, int] = {}
    names, _ = files.entries(directory) or ([], [])
    for name in sorted(names):
        size = name.removeprefix(_HUGE).removesuffix(_HUGE_END)
        count = files.number(f"{directory}/{name}/nr_hugepages")
        if name == f"{_HUGE}{size}{_HUGE_END}" and _is_number(size) and int(size) and count is not None:
            amounts[_HUGE + _quantity(int(size))] = count * int(size) * 1024
    return amounts


def _quantity(kib: int) -> str:
    divisor, unit = next((d, u) for d, u in _UNITS if kib % d == 0)
    return f"{kib // divisor}{unit}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
