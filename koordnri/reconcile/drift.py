"""Finds the pods whose files somebody else has written, when it happens, not at the next sweep.

There is one watch (`koordnri.host.cgroup.watch`) per directory with a file of ours, or with a file that shows what kubelet set. Watches
come and go with the plans. The watch's thread, `drift`, only sets the reconciler's wake event; everything else happens in the reconcile
thread. It compares a written file with its decided value, so our own writes are recognised by value. A file that has lost its value is
healed by a pass over its pod.

A file that has not had its value yet is not checked here: `Failures` retries it in its own time. Healing slows down for a file that is
written again and again: see `drift_pace`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Pod, fields
from koordnri.model.field import Nesting
from koordnri.model.log import Log
from koordnri.reconcile.drift_followed import File, Followed, Values, directories_above, files_of, values_of
from koordnri.reconcile.drift_pace import Pace, Returning
from koordnri.reconcile.drift_watches import OpenWatch, Watches
from koordnri.reconcile.plan import Goal, PodPlan
from koordnri.state.ledger import Ledger

CLASSES = "classes"
"""used in place of a pod's id for the cgroups above the pods"""
RESTS = 4
"""After a healing pass, the next one waits for this many times its duration: at most a fifth of a core."""

_CPUSETS = frozenset(file for field in fields.ALL if field.nesting is Nesting.CPUSET for file in field.v2)


class Suspects(NamedTuple):
    """What a pass should check."""

    pods: set[str]
    """ids, possibly with CLASSES"""
    everything: bool = False


class Drift:
    """Used by the reconcile thread.

    open_watch   makes the watch
    warn         sends a Warning Event on the Node: reason, message
    """

    def __init__(
        self,
        open_watch: OpenWatch,
        is_right: Callable[[Goal], bool],
        ledger: Ledger,
        log: Log,
        warn: Callable[[str, str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.pace = Pace()
        self.overflows = 0
        """how often the kernel dropped events"""
        self._watches = Watches(open_watch, log, warn, monotonic)
        self._is_right = is_right
        self._ledger = ledger
        self._log = log
        self._monotonic = monotonic
        self._followed: dict[str, Followed] = {}
        """by owner: the id of a pod, or CLASSES"""
        self._paused: dict[File, float] = {}
        """file that has lost its value → when it may be healed (s, monotonic)"""
        self._rests_until = float("-inf")
        self._put_off = False
        """whether something waits to be checked while healing rests"""
        self._edits = -1
        self._version = 0
        """changes when anything has changed that `covers` depends on, beside the ledger and the watches"""
        self._covered: tuple[tuple[int, int, int, int] | None, set[str]] = (None, set())

    def __len__(self) -> int:
        """Number of watched directories."""
        return len(self._watches)

    @property
    def refused(self) -> int:
        """Number of directories that the kernel refuses to watch."""
        return len(self._watches.refused)

    def start(self, woken: Callable[[], None]) -> None:
        """Call before the first pass."""
        self._watches.start(woken)

    def stop(self) -> None:
        """Call after the last pass."""
        self._watches.stop()

    # -- what is watched ----------------------------------------------------------------------------------------------

    def follow(self, owner: str, directory: str, plan: PodPlan, writer: Writer, renew: bool = False) -> None:
        """A pod, or CLASSES, was planned: watch its files.

        directory   the pod's; "" for CLASSES
        renew       check that the watched directories are still the same; one may have been removed and made again
        """
        if not self._watches.open:
            return
        before = self._followed.get(owner)
        if before is not None and before.complete and before.is_of(plan):
            if renew:
                self._renew(owner, before)
            return
        self._version += 1
        home = writer.home(directory) if directory else ""
        values = values_of(plan)
        if before is not None and not renew and before.has_files_of(values, plan.containers, home):
            files, directories = before.files, before.directories
        else:
            files = files_of(values, writer)
            had = {} if before is None or renew else before.directories
            wanted = {place for place, _ in files} | directories_above(home, writer)
            directories = {place: had.get(place) or self._watches.add(place, owner) for place in wanted}
        # A file that is given back is watched as kubelet's from the next plan on, which a sweep makes.
        gives_back = any(goal.restores for goal in plan.goals)
        complete = plan.whole and not gives_back and self._watches.refused.isdisjoint(directories)
        shown = plan.holds, plan.kubelets, plan.containers, plan.groups
        self._followed[owner] = Followed(*shown, home, values, files, directories, complete)
        if before is not None and before.directories is not directories:
            self._watches.leave(owner, before.directories.keys() - directories.keys())

    def keep(self, pods: Iterable[Pod]) -> None:
        """These are all pods."""
        self._version += 1
        there = {pod.id for pod in pods} | {CLASSES}
        for owner in [o for o in self._followed if o not in there]:
            self._watches.leave(owner, self._followed.pop(owner).directories)

    def covered(self, changes: int) -> set[str]:
        """All pods for which `covers` is true.

        changes   a number that differs whenever `is_right` may have changed
        """
        version = (self._ledger.edits, self._version, self._watches.changes, changes)
        if self._covered[0] != version:
            self._covered = version, {pod.id for pod in self._ledger.pods() if self.covers(pod.id)}
        return self._covered[1]

    def groups_of(self, pod_id: str) -> Mapping[str, str]:
        """Cgroup of a container → its resctrl group, as in the last plan."""
        followed = self._followed.get(pod_id)
        return {} if followed is None else followed.groups

    def covers(self, owner: str) -> bool:
        """Whether every change of a pod's files, or the classes', is reported: then sweeps may skip them.

        Not while a file has never had its value: once Failures has given up, only sweeps retry it.
        """
        followed = self._followed.get(owner)
        if followed is None or not self._watches.open or not followed.complete:
            return False
        if owner != CLASSES and list(followed.containers) != _containers(self._ledger, owner):
            return False
        return all(goal is None or self._is_right(goal) for goal, _ in followed.existing())

    def uncovered(self) -> set[str]:
        """Pods with a container that was started and is not watched yet, since the last call."""
        edits = self._ledger.edits
        if not self._watches.open or edits == self._edits:
            return set()
        self._edits = edits
        pods = self._ledger.pods()
        self.keep(pods)
        return {pod.id for pod in pods if (known := self._followed.get(pod.id)) and self._lacks(pod.id, known)}

    # -- what happened ------------------------------------------------------------------------------------------------

    def due_at(self) -> float:
        """When `scan` has something to do without being woken (s, monotonic)."""
        if self._put_off or self._watches.fresh:
            return self._rests_until
        return max(min(self._paused.values(), default=float("inf")), self._rests_until)

    def scan(self, writer: Writer, waited_for: bool = False) -> Suspects:
        """The pods that have lost a value which may be healed now.

        waited_for   somebody waits for correct files: do not rest
        """
        now, watches = self._monotonic(), self._watches
        self._put_off = watches.open and now < self._rests_until and not waited_for
        if not watches.open or self._put_off:
            return Suspects(set())
        taken = watches.take()
        if taken.overflowed:
            self.overflows += 1
            self._log.warning("cgroup_watch_overflowed", times=self.overflows)
        pods = self._without(taken.removed)
        files = taken.written
        for directory in watches.fresh:
            files |= {f for o in watches.owners(directory) for f in self._followed[o].files if f[0] == directory}
        watches.fresh.clear()
        files |= self._narrowed({file for file in files if file[1] in _CPUSETS})
        files -= self._paused.keys()
        files |= {file for file, at in self._paused.items() if at <= now}
        for file in files:
            pods |= self._losers(file, writer, now)
        return Suspects(pods, taken.overflowed)

    def hold(self, held: bool) -> None:
        """A pass begins (or, not `held`, has ended): leave the events of its writes for after it."""
        self._watches.hold(held)

    def rest(self, cpu_s: float) -> None:
        """A healing pass has ended, and used so much CPU time."""
        self._rests_until = self._monotonic() + RESTS * cpu_s

    def times(self, change: Change, writer: Writer) -> int:
        """How many times in a row a change's file has been healed."""
        return max((self.pace.times(file) for file in writer.places(change)), default=0)

    def returning(self) -> list[tuple[Returning, str]]:
        """(file that somebody else writes again and again, its pod's id or CLASSES). Any thread may ask."""
        return [
            (found, owner)
            for found in self.pace.returning(self._monotonic())
            for owner in tuple(self._watches.owners(found.file[0]))[:1]
        ]

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _narrowed(self, cpusets: set[File]) -> set[File]:
        """Files of cpusets below cgroups whose own cpuset was written: on v2 they are limited by their parents, which is not reported."""
        homes = {followed.home for followed in self._followed.values()} if cpusets else set()
        uppers = homes | {os.path.dirname(home) for home in homes}
        uppers |= {os.path.dirname(directory) for directory in uppers}
        found: set[File] = set()
        for name in {name for directory, name in cpusets if directory in uppers}:
            above = tuple(f"{directory}/" for directory, of in cpusets if of == name and directory in uppers)
            files = (file for followed in self._followed.values() for file in followed.files)
            found |= {file for file in files if file[1] == name and file[0].startswith(above)}
        return found

    def _without(self, removed: Iterable[str]) -> set[str]:
        """Directories vanished. Returns their owners: pods that are gone, and the classes, whose directories return."""
        removed = set(removed)
        pods = {owner for owner, followed in self._followed.items() if followed.home in removed} if removed else set()
        self._version += bool(removed)
        for directory in removed:
            for owner in self._watches.vanished(directory):
                self._followed[owner].directories[directory] = False
                if owner == CLASSES:
                    pods.add(CLASSES)
        return pods

    def _losers(self, file: File, writer: Writer, now: float) -> set[str]:
        """A file was written. Returns its owners if it has lost its value and may be healed now."""
        self._paused.pop(file, None)
        owners = self._watches.owners(file[0])
        losers = {o for o in owners if self._is_lost(self._followed[o].values_of(file), writer)}
        if not losers:
            return losers
        wait_s = self.pace.wait_s(file, now)
        if wait_s > 0:
            self._paused[file] = now + wait_s
            return set()
        return losers

    def _is_lost(self, values: Values, writer: Writer) -> bool:
        return any((goal is None or self._is_right(goal)) and not writer.holds(change) for goal, change in values)

    def _lacks(self, pod_id: str, followed: Followed) -> bool:
        had = set(followed.containers)
        return any(started and (i, started) not in had for i, started in _containers(self._ledger, pod_id))

    def _renew(self, owner: str, followed: Followed) -> None:
        for place in followed.directories:
            followed.directories[place] = self._watches.add(place, owner)
        if not self._watches.refused.isdisjoint(followed.directories):
            self._version += 1
            self._followed[owner] = followed._replace(complete=False)


def _containers(ledger: Ledger, pod_id: str) -> list[tuple[str, bool]]:
    return [(entry.id, entry.started) for entry in ledger.containers_of(pod_id)]
