"""What resctrl groups, threads and monitors have come to, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class ResctrlStats:
    """Plain numbers for `observe`. Mappings are swapped whole or only grow, so that a scrape may read them at any time."""

    def __init__(self) -> None:
        self.groups = 0
        """of ours, that exist"""
        self.refused = 0
        """that are wanted and could not be made"""
        self.read_only = ""
        """why none can be made and no thread moved, as decisions were told last"""
        self.actions: Counter[tuple[str, str]] = Counter()
        """(made, schemata, removed or emptied; ok or refused) → count"""
        self.drift = 0
        """schemata that somebody had changed, and that were put right"""
        self.moved = 0
        """threads"""
        self.unsettled = 0
        """threads that were still elsewhere after the last pass"""
        self.thread_errors = 0
        """looks and moves that the kernel refused"""
        self.placed: Counter[str] = Counter()
        """containers at their start: placed, gone, missing (there was no such group yet) or refused"""
        self.occupancy_bytes: Mapping[tuple[str, int], int] = {}
        """(class, cache id) → bytes of the last-level cache, with the pods' own groups"""
        self.traffic_bytes: Mapping[tuple[str, int, str], int] = {}
        """(class, cache id, total or local) → bytes read and written since we look; only grows"""
