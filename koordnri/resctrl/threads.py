"""Puts threads into resctrl groups: running threads are moved, a container's first one is placed before the container runs.

Wiring:

    reconcile thread, in each pass, after deciding:
        threads.settle({cgroup of each container: decision.value(RDT_CLOSID) or ""}, node.cgroup_version)
        leaving out those whose decision has RDT_CLOSID in `undecided`
    event thread, at StartContainer, before the answer:
        threads.place(pid, the value of rdt.closid that the ledger has of the container)
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from koordnri.host.resctrl_groups import ROOT_GROUP, ResctrlRefused, ResctrlTree
from koordnri.resctrl.choice import is_ours
from koordnri.resctrl.groups import MOST_PASSES, ResctrlGroups


class MovedThreads(NamedTuple):
    """Result of moving threads into their groups."""

    moved: int
    left: int
    """threads in the wrong group at the last scan"""
    errors: tuple[str, ...]


class ResctrlThreads:
    """See the module. `place` is for the event thread, everything else for the reconcile thread."""

    def __init__(
        self, tree: ResctrlTree, groups: ResctrlGroups, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tree = tree
        self._groups = groups
        self._stats = groups.stats
        self._monotonic = monotonic

    def place(self, pid: int, group: str, patience_s: float = 0.0) -> bool:
        """Put a container's init process into its group before it becomes the container's program. For the event thread: one write.

        runc and crun start the program from the thread that `pid` names, so no other thread of the init survives. False when it could
        not be placed; then the next pass moves the container, as all running ones.

        patience_s   how long (s) to wait for a group that the reconcile thread has yet to make
        """
        if not group or self._groups.read_only():  # nothing to do, or nothing that we could do
            return True
        if pid <= 0 or not is_ours(group):
            self._stats.placed["refused"] += 1
            return False
        until = self._monotonic() + patience_s
        # Held while trying, so that the group cannot be made between the attempt and the wait.
        with self._groups.made:
            while True:
                try:
                    placed = self._tree.put(group, pid)
                except ResctrlRefused as refused:
                    missing = refused.number == errno.ENOENT
                    left_s = until - self._monotonic()
                    if not missing or left_s <= 0 or group in self._groups.refused:
                        self._stats.placed["missing" if missing else "refused"] += 1
                        return False
                else:
                    self._stats.placed["placed" if placed else "gone"] += 1
                    return placed
                self._groups.made.wait(left_s)

    def settle(self, places: Mapping[str, str], version: int) -> MovedThreads:
        """Move all threads of containers into their groups, and scan again until none is elsewhere.

        places    cgroup below the cgroup root → its group; "": out of koordnri's groups. The cgroup is a container's, or that of a pod
                  whose containers all agree (then the sandbox is included, and with it a virtual machine)
        version   of the cgroups

        Then the groups are removed that waited for this.
        """
        present = self._tree.groups()
        if present is None:
            return MovedThreads(0, 0, ())
        if places and (read_only := self._groups.read_only()):
            return MovedThreads(0, 0, (read_only,))
        ours = {group for group in present if is_ours(group)}
        look_at = {d: g for d, g in places.items() if g in ours or (not g and ours)}
        moved, left, errors = 0, 0, dict[str, None]()
        for _ in range(MOST_PASSES):
            found = self._elsewhere(look_at, ours, version, errors)
            left = 0
            for directory, threads in found.items():
                for thread in sorted(threads):
                    try:
                        left += self._tree.put(look_at[directory], thread)
                    except ResctrlRefused as refused:
                        errors[str(refused)] = None
            moved += left
            # A cgroup without a thread elsewhere has none later: a new thread starts in its parent's group.
            look_at = {d: look_at[d] for d in found}
            if not found:
                break
        self._stats.moved += moved
        self._stats.unsettled = left
        self._groups.remove_left(present)
        return MovedThreads(moved, left, tuple(errors))

    def _elsewhere(
        self, places: Mapping[str, str], ours: set[str], version: int, errors: dict[str, None]
    ) -> dict[str, set[int]]:
        """Container's cgroup → its threads that are in the wrong group; only cgroups with such threads.

        Threads are listed before groups: a thread that is missing from the second list is elsewhere or has ended. In the other order, each
        thread created in between would look misplaced.
        """
        threads: dict[str, set[int]] = {}
        for directory in places:
            try:
                threads[directory] = self._tree.threads(directory, version)
            except ResctrlRefused as refused:
                errors[str(refused)] = None
        inside: dict[str, set[int]] = {}
        for group in ours if ROOT_GROUP in places.values() else set(places.values()):
            try:
                inside[group] = self._tree.tasks(group)
            except ResctrlRefused as refused:
                errors[str(refused)] = None
        anywhere = set().union(*inside.values())
        found: dict[str, set[int]] = {}
        for directory, those in threads.items():
            group = places[directory]
            if group and group not in inside:
                continue
            wrong = those - inside[group] if group else those & anywhere
            if wrong:
                found[directory] = wrong
        return found
