"""Memory in use by a cgroup, and its consequence for a limit that would go below it.

A memory.max below usage kills. A memory.high below usage throttles every task of the cgroup until enough is reclaimed, which is forever
for memory that cannot be reclaimed. So a limit does not go below usage unless forced (`Step`). But page cache is freed only under pressure,
and then a limit would never reach its value. So the kernel is asked to reclaim a little at a time.
"""

from __future__ import annotations

import contextlib

from koordnri.host.cgroup.value import Tree, WriteFailed
from koordnri.host.memory import page_bytes
from koordnri.model import fields

_USAGE = {1: "memory/memory.usage_in_bytes", 2: "memory.current"}
_RECLAIM = "memory.reclaim"
MARGIN_SHARE = 32
"""memory.high stays 1/32 of the usage above it, for what is charged while it is written"""
LEAST_MARGIN_BYTES = 1 << 20
"""least margin, since the kernel charges each CPU 64 pages in advance; but never more than the usage itself"""
RECLAIM_BYTES = 32 << 20
"""Most memory reclaimed from a cgroup at a time; for cached files it takes the kernel some 10 ms."""
RECLAIM_MOST_BYTES = 64 << 20
"""Most memory reclaimed by one writer, which lives for one pass: the rest waits."""


def usage_bytes(tree: Tree, directory: str) -> int | None:
    """Memory in use by a cgroup and its descendants; None when unknown."""
    try:
        return int(tree.text(tree.path(directory, _USAGE[tree.version])))
    except (WriteFailed, ValueError):
        return None


class InUse:
    """A writer's knowledge of memory in use."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._reclaimable = RECLAIM_MOST_BYTES

    def least_bytes(self, directory: str, *, margin: bool) -> int | None:
        """How low a limit may go at once, in whole pages; None when unknown. `margin`: keep some room for what is charged meanwhile."""
        usage = usage_bytes(self._tree, directory)
        if usage is None:
            return None
        if margin:
            usage += min(max(usage // MARGIN_SHARE, LEAST_MARGIN_BYTES), usage)
        page = page_bytes()
        return -(-usage // page) * page

    def reclaim(self, directory: str, wish_bytes: int) -> None:
        """Ask the kernel to reclaim so many bytes. It may reclaim less; before 5.19, and on v1, nothing."""
        amount = min(wish_bytes, RECLAIM_BYTES, self._reclaimable)
        if amount <= 0 or self._tree.version == 1:
            return
        self._reclaimable -= amount
        with contextlib.suppress(WriteFailed):
            self._tree.put(self._tree.path(directory, _RECLAIM), str(amount), fields.MEMORY_LIMIT)
