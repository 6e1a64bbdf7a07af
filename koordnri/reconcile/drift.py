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
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.watch import TakenEvents
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Pod
from koordnri.model.log import Log
from koordnri.reconcile.drift_pace import Pace
from koordnri.reconcile.plan import Goal
from koordnri.reconcile.planner import PodPlan
from koordnri.state.ledger import Ledger

CLASSES = "classes"
"""used in place of a pod's id for the cgroups above the pods"""
RESTS = 4
"""After a healing pass, the next one waits for this many times its duration: at most a fifth of a core."""
TRIES_AGAIN_S = 60.0
"""s after which the kernel is asked again, once it refused further watches."""

_CPUS = "cpuset.cpus"

File = tuple[str, str]
"""full directory, name"""


class WatchPort(Protocol):
    """The part of `koordnri.host.cgroup.watch` that is used here."""

    def __len__(self) -> int: ...

    def add(self, directory: str) -> bool: ...

    def remove(self, directory: str) -> None: ...

    def take(self) -> TakenEvents: ...

    def close(self) -> None: ...


class _Held(NamedTuple):
    """What is known of a pod, or of the classes."""

    holds: Sequence[Goal]
    kubelets: Sequence[Change]
    containers: Sequence[tuple[str, bool]]
    groups: Mapping[str, str]
    home: str
    files: dict[File, list[tuple[Goal | None, Change]]]
    """Goal None: the file is kubelet's; it has no decided value, but decisions depend on it"""
    directories: dict[str, bool]
    """directory → whether it exists"""
    complete: bool
    """whether all existing directories are watched, and have all files of the pod"""


class Suspects(NamedTuple):
    """What a pass should check."""

    pods: set[str]
    """ids, possibly with CLASSES"""
    everything: bool = False


class Drift:
    """Used by the reconcile thread.

    open_watch   makes the watch; gets the function to call when there is something to check. Raises OSError when the kernel refuses
    warn         sends a Warning Event on the Node: reason, message
    """

    def __init__(
        self,
        open_watch: Callable[[Callable[[], None]], WatchPort],
        is_right: Callable[[Goal], bool],
        ledger: Ledger,
        log: Log,
        warn: Callable[[str, str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.pace = Pace()
        self.overflows = 0
        """how often the kernel dropped events"""
        self._open_watch = open_watch
        self._is_right = is_right
        self._ledger = ledger
        self._log = log
        self._warn = warn
        self._monotonic = monotonic
        self._watch: WatchPort | None = None
        self._held: dict[str, _Held] = {}
        self._owners: dict[str, set[str]] = {}
        """directory → its owners: ids of pods (several for the classes' directories), or CLASSES"""
        self._fresh: set[str] = set()
        """directories whose watch has just begun: writes before it were not reported"""
        self._paused: dict[File, float] = {}
        """file that has lost its value → when it may be healed (s, monotonic)"""
        self._refused: set[str] = set()
        """directories that the kernel refused to watch, as of the last attempt"""
        self._rests_until = float("-inf")
        self._put_off = False
        """whether something waits to be checked while healing rests"""
        self._refused_until = float("-inf")
        self._edits = -1
        self._version = 0
        """changes when anything else has changed that `covers` depends on"""
        self._covered: tuple[tuple[int, int, int] | None, set[str]] = (None, set())
        self._warned = False

    def __len__(self) -> int:
        """Number of watched directories."""
        return 0 if self._watch is None else len(self._watch)

    @property
    def refused(self) -> int:
        """Number of directories that the kernel refuses to watch."""
        return len(self._refused)

    def start(self, woken: Callable[[], None]) -> None:
        """Call before the first pass."""
        try:
            self._watch = self._open_watch(woken)
        except OSError as error:
            self._cannot(error)

    def stop(self) -> None:
        """Call after the last pass."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # -- what is watched ----------------------------------------------------------------------------------------------

    def follow(self, owner: str, directory: str, plan: PodPlan, writer: Writer, renew: bool = False) -> None:
        """A pod, or CLASSES, was planned: watch its files.

        directory   the pod's; "" for CLASSES
        renew       check that the watched directories are still the same; one may have been removed and made again
        """
        if self._watch is None:
            return
        before = self._held.get(owner)
        if before is not None and before.complete and _same(before, plan):
            if renew:
                self._renew(owner, before)
            return
        self._version += 1
        home = writer.home(directory) if directory else ""
        files: dict[File, list[tuple[Goal | None, Change]]] = {}
        ours = {goal.change[:2] for goal in plan.holds}
        # A file that we are about to write does not show kubelet's value any more.
        kubelets = [(None, change) for change in plan.kubelets if change[:2] not in ours]
        for goal, change in [*((g, g.change) for g in plan.holds), *kubelets]:
            for file in writer.places(change):
                files.setdefault(file, []).append((goal, change))
        had = {} if before is None or renew else before.directories
        wanted = {place for place, _ in files} | _above(home, writer)
        directories = {place: had.get(place) or self._add(place, owner) for place in wanted}
        # A file that is given back is watched as kubelet's from the next plan on, which a sweep makes.
        complete = plan.whole and not any(goal.restores for goal in plan.goals) and self._refused.isdisjoint(wanted)
        shown = plan.holds, plan.kubelets, plan.containers, plan.groups
        self._held[owner] = _Held(*shown, home, files, directories, complete)
        if before is not None:
            self._leave(owner, before.directories.keys() - wanted)

    def keep(self, pods: Iterable[Pod]) -> None:
        """These are all pods."""
        self._version += 1
        there = {pod.id for pod in pods} | {CLASSES}
        for owner in [o for o in self._held if o not in there]:
            self._leave(owner, self._held.pop(owner).directories)

    def covered(self, changes: int) -> set[str]:
        """All pods for which `covers` is true.

        changes   a number that differs whenever `is_right` may have changed
        """
        version = (self._ledger.edits, self._version, changes)
        if self._covered[0] != version:
            self._covered = version, {pod.id for pod in self._ledger.pods() if self.covers(pod.id)}
        return self._covered[1]

    def groups_of(self, pod_id: str) -> Mapping[str, str]:
        """Cgroup of a container → its resctrl group, as in the last plan."""
        held = self._held.get(pod_id)
        return {} if held is None else held.groups

    def covers(self, owner: str) -> bool:
        """Whether every change of a pod's files, or the classes', is reported: then sweeps may skip them.

        Not while a file has never had its value: once Failures has given up, only sweeps retry it.
        """
        held = self._held.get(owner)
        if held is None or self._watch is None or not held.complete:
            return False
        if owner != CLASSES and list(held.containers) != _containers(self._ledger, owner):
            return False
        # Directories that do not exist (not made yet, or the container has ended) are ignored.
        there = (of_file for file, of_file in held.files.items() if held.directories[file[0]])
        return all(goal is None or self._is_right(goal) for of_file in there for goal, _ in of_file)

    def uncovered(self) -> set[str]:
        """Pods with a container that was started and is not watched yet, since the last call."""
        edits = self._ledger.edits
        if self._watch is None or edits == self._edits:
            return set()
        self._edits = edits
        pods = self._ledger.pods()
        self.keep(pods)
        return {pod.id for pod in pods if (held := self._held.get(pod.id)) is not None and self._lacks(pod.id, held)}

    # -- what happened ------------------------------------------------------------------------------------------------

    def due_at(self) -> float:
        """When `scan` has something to do without being woken (s, monotonic)."""
        if self._put_off or self._fresh:
            return self._rests_until
        return max(min(self._paused.values(), default=float("inf")), self._rests_until)

    def scan(self, writer: Writer, waited_for: bool = False) -> Suspects:
        """The pods that have lost a value which may be healed now.

        waited_for   somebody waits for correct files: do not rest
        """
        now = self._monotonic()
        self._put_off = self._watch is not None and now < self._rests_until and not waited_for
        if self._watch is None or self._put_off:
            return Suspects(set())
        taken = self._watch.take()
        if taken.overflowed:
            self.overflows += 1
            self._log.warning("cgroup_watch_overflowed", times=self.overflows)
        pods = self._without(taken.removed)
        files = taken.written
        for directory in self._fresh:
            files |= {f for o in self._owners.get(directory, ()) for f in self._held[o].files if f[0] == directory}
        self._fresh.clear()
        files |= self._narrowed({directory for directory, name in files if name == _CPUS})
        files -= self._paused.keys()
        files |= {file for file, at in self._paused.items() if at <= now}
        for file in files:
            pods |= self._losers(file, writer, now)
        return Suspects(pods, taken.overflowed)

    def rest(self, took_s: float) -> None:
        """A healing pass has ended and took so long."""
        self._rests_until = self._monotonic() + RESTS * took_s

    def times(self, change: Change, writer: Writer) -> int:
        """How many times in a row a change's file has been healed."""
        return max((self.pace.times(file) for file in writer.places(change)), default=0)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _narrowed(self, directories: set[str]) -> set[File]:
        """Cpusets below cgroups whose own cpuset was written: on v2 they are limited by their parents, which is not reported."""
        homes = {held.home for held in self._held.values()} if directories else set()
        uppers = homes | {os.path.dirname(home) for home in homes}
        uppers |= {os.path.dirname(directory) for directory in uppers}
        above = tuple(f"{directory}/" for directory in directories & uppers)
        if not above:
            return set()
        files = (file for held in self._held.values() for file in held.files)
        return {file for file in files if file[1] == _CPUS and file[0].startswith(above)}

    def _without(self, removed: Iterable[str]) -> set[str]:
        """Directories vanished. Returns their owners: pods that are gone, and the classes, whose directories return."""
        removed = set(removed)
        pods = {owner for owner, held in self._held.items() if held.home in removed} if removed else set()
        self._version += bool(removed)
        for directory in removed:
            for owner in self._owners.pop(directory, ()):
                self._held[owner].directories[directory] = False
                if owner == CLASSES:
                    pods.add(CLASSES)
        return pods

    def _losers(self, file: File, writer: Writer, now: float) -> set[str]:
        """A file was written. Returns its owners if it has lost its value and may be healed now."""
        self._paused.pop(file, None)
        losers = {o for o in self._owners.get(file[0], ()) if self._is_lost(self._held[o].files.get(file, ()), writer)}
        if not losers:
            return losers
        wait_s = self.pace.wait_s(file, now)
        if wait_s > 0:
            self._paused[file] = now + wait_s
            return set()
        return losers

    def _is_lost(self, of_file: Iterable[tuple[Goal | None, Change]], writer: Writer) -> bool:
        return any((goal is None or self._is_right(goal)) and not writer.holds(change) for goal, change in of_file)

    def _lacks(self, pod_id: str, held: _Held) -> bool:
        had = set(held.containers)
        return any(started and (i, started) not in had for i, started in _containers(self._ledger, pod_id))

    def _renew(self, owner: str, held: _Held) -> None:
        for place in held.directories:
            held.directories[place] = self._add(place, owner)
        if not self._refused.isdisjoint(held.directories):
            self._version += 1
            self._held[owner] = held._replace(complete=False)

    def _add(self, directory: str, owner: str) -> bool:
        """Watch a directory. Returns whether it exists; one that cannot be watched is added to the refused ones."""
        new = directory not in self._owners
        self._version += new or directory in self._refused
        if self._watch is None or (new and self._monotonic() < self._refused_until):
            self._refused.add(directory)
            return True
        try:
            there = self._watch.add(directory)
        except OSError as error:
            self._refused_until = self._monotonic() + TRIES_AGAIN_S
            self._refused.add(directory)
            self._cannot(error)
            return True
        self._refused.discard(directory)
        if there:
            if new:
                self._fresh.add(directory)
            self._owners.setdefault(directory, set()).add(owner)
        return there

    def _leave(self, owner: str, directories: Iterable[str]) -> None:
        for directory in directories:
            self._refused.discard(directory)
            owners = self._owners.get(directory)
            if owners is None:
                continue
            owners.discard(owner)
            if not owners:
                del self._owners[directory]
                self._fresh.discard(directory)
                if self._watch is not None:
                    self._watch.remove(directory)

    def _cannot(self, error: OSError) -> None:
        """Report once that the kernel refuses watches: then sweeps do their work."""
        if self._warned:
            return
        self._warned = True
        why = f"{os.strerror(error.errno or 0)}: see /proc/sys/fs/inotify/max_user_watches and max_user_instances"
        self._log.warning("cgroup_watch_limited", watched=len(self), error=why)
        self._warn("DriftSeenLate", f"what others write into cgroups is found only every 10 s: inotify: {why}")


def _above(home: str, writer: Writer) -> set[str]:
    """The directories above a pod's: they report its end, and may narrow its cpuset. Not the root of all cgroups, which cannot."""
    top, found = writer.home(ROOT_DIRECTORY), set[str]()
    while (home := os.path.dirname(home)).startswith(f"{top}/"):
        found.add(home)
    return found


def _same(held: _Held, plan: PodPlan) -> bool:
    if not plan.containers:  # the classes, whose goals are made again each time
        return [goal.change for goal in held.holds] == [goal.change for goal in plan.holds] and not plan.kubelets
    return held.holds is plan.holds and held.kubelets is plan.kubelets and held.containers is plan.containers


def _containers(ledger: Ledger, pod_id: str) -> list[tuple[str, bool]]:
    return [(entry.id, entry.started) for entry in ledger.containers_of(pod_id)]
