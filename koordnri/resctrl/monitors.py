"""Use of cache and memory bandwidth by class, from the monitors of the resctrl groups. Read in sweeps, after threads were moved."""

from __future__ import annotations

from collections import Counter

from koordnri.host.resctrl_groups import ResctrlTree
from koordnri.resctrl.groups import ResctrlGroups


class ResctrlMonitors:
    """Used by the reconcile thread; writes into the groups' statistics."""

    def __init__(self, tree: ResctrlTree, groups: ResctrlGroups) -> None:
        self._tree = tree
        self._groups = groups
        self._stats = groups.stats
        self._counted: dict[tuple[str, int, str], int] = {}
        """(group, cache id, counter) → last value read"""

    def read(self) -> None:
        """Read the groups' use, by class. Each read interrupts a CPU of that cache, so only sweeps do it."""
        occupancy: Counter[tuple[str, int]] = Counter()
        traffic = Counter(self._stats.traffic_bytes)
        counted = {key: value for key, value in self._counted.items() if key[0] in self._groups.wanted.groups}
        for group, one in self._groups.wanted.groups.items():
            if not one.qos or group in self._groups.refused:
                continue
            for (cache_id, counter), value in self._tree.readings(group).items():
                if counter == "llc_occupancy":
                    occupancy[one.qos, cache_id] += value
                    continue
                kind = "total" if counter == "mbm_total_bytes" else "local"
                before = self._counted.get((group, cache_id, counter), 0)
                # The counter of a group that was made again starts at 0. The sum must not fall, or a scraper would count it twice.
                traffic[one.qos, cache_id, kind] += value - before if value >= before else value
                counted[group, cache_id, counter] = value
        self._counted = counted
        self._stats.occupancy_bytes, self._stats.traffic_bytes = dict(occupancy), dict(traffic)
