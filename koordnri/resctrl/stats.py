"""Counters of resctrl groups, threads and monitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class ResctrlStats:
    """Plain numbers for `observe`. Mappings are replaced whole or only grow, so that a scrape may read them at any time."""

    def __init__(self) -> None:
        self.groups = 0
        """groups of ours that exist"""
        self.refused = 0
        """groups that are wanted and could not be made"""
        self.read_only = ""
        """why none can be made and no thread moved, as in the node state of decisions"""
        self.actions: Counter[tuple[str, str]] = Counter()
        """(made, schemata, removed or emptied; ok or refused) → count"""
        self.drift = 0
        """schemata that somebody else had changed, and that were corrected"""
        self.moved = 0
        """threads moved"""
        self.unsettled = 0
        """threads in the wrong group after the last pass"""
        self.placed: Counter[str] = Counter()
        """containers at their start: placed, gone, missing (the group did not exist yet) or refused"""
        self.occupancy_bytes: Mapping[tuple[str, int], int] = {}
        """(class, cache id) → bytes of the last-level cache, including pods' own groups"""
        self.traffic_bytes: Mapping[tuple[str, int, str], int] = {}
        """(class, cache id, total or local) → bytes read and written since the daemon's start; only grows"""
