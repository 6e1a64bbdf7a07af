"""Memory in use by a cgroup, and what that means for a limit that is to become less than it.

A memory.max below what is in use kills; a memory.high below it throttles every task of the cgroup until enough is reclaimed, which for
memory that cannot be reclaimed is forever. So neither goes there by itself: see `Step`. What only caches files nobody frees unless
something asks for it, and then a limit would never get where it is to be: so the kernel is asked, for a little at a time.
"""

from __future__ import annotations

import contextlib

from koordnri.host.cgroup.value import Failed, Tree
from koordnri.host.memory import page_bytes
from koordnri.model import Field, fields

_USAGE = {1: "memory/memory.usage_in_bytes", 2: "memory.current"}
_RECLAIM = "memory.reclaim"
MARGIN_SHARE = 32
"""memory.high keeps a 32nd of what is in use above it: what comes to be in use while it is written"""
LEAST_MARGIN_BYTES = 1 << 20
"""and at least that, since the kernel charges each CPU 64 pages in advance; but of little that is in use, no more than as much again"""
RECLAIM_BYTES = 32 << 20
"""At most that is reclaimed of a cgroup at a time, which takes the kernel some 10 ms for cached files."""
RECLAIM_MOST_BYTES = 64 << 20
"""At most that is reclaimed by a writer, which lives for one pass: others wait."""


def usage_bytes(tree: Tree, directory: str) -> int | None:
    """Memory in use by a cgroup and those below it; None when that cannot be told."""
    try:
        return int(tree.text(tree.path(directory, _USAGE[tree.version])))
    except (Failed, ValueError):
        return None


class InUse:
    """What a writer knows of memory in use."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._reclaimable = RECLAIM_MOST_BYTES

    def least_for(self, field: Field, directory: str) -> int | None:
        """How low a limit may go at once, in bytes, a whole number of pages; None when that cannot be told."""
        usage = usage_bytes(self._tree, directory)
        if usage is None:
            return None
        if field is fields.MEMORY_HIGH:
            usage += min(max(usage // MARGIN_SHARE, LEAST_MARGIN_BYTES), usage)
        page = page_bytes()
        return -(-usage // page) * page

    def reclaim(self, directory: str, wish_bytes: int) -> None:
        """Ask the kernel for that much less in use. It may give less, and before 5.19, and on v1, nothing."""
        amount = min(wish_bytes, RECLAIM_BYTES, self._reclaimable)
        if amount <= 0 or self._tree.version == 1:
            return
        self._reclaimable -= amount
        with contextlib.suppress(Failed):
            self._tree.put(self._tree.path(directory, _RECLAIM), str(amount), fields.MEMORY_LIMIT)
