"""Which pods' files somebody else has written: found when it happens, not at the next sweep.

One watch (`koordnri.host.cgroup.watch`) per directory that we hold a file in, or that tells what kubelet set; it comes and goes with
the plans. Its thread, `drift`, only sets the reconciler's wake event. All else happens on the reconcile thread: what was written is
compared with what is wanted there, so our own writes are known by their value, and what has lost its value goes the way of all
changes: a pass over that pod.

Not every file is worth a look: one that is not known to have had its value is being tried again by `Failures`, in its own time.
Nobody is fought without end: see `drift_pace`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.watch import Taken
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Pod
from koordnri.model.log import Log
from koordnri.reconcile.drift_pace import Pace
from koordnri.reconcile.plan import Goal
from koordnri.reconcile.planner import PodPlan
from koordnri.state.ledger import Ledger

CLASSES = "classes"
"""stands for the cgroups above the pods, where a pod's id is expected"""
RESTS = 4
"""After a pass over what had lost its value, the next comes after so many times as long: at most a fifth of a core."""
TRIES_AGAIN_S = 60.0
"""When the kernel watches no more directories, it is asked again after this."""

_CPUS = "cpuset.cpus"

File = tuple[str, str]
"""directory in full, name"""


class Watch(Protocol):
    """Of `koordnri.host.cgroup.watch`, what is needed here."""

    def __len__(self) -> int: ...

    def add(self, directory: str) -> bool: ...

    def remove(self, directory: str) -> None: ...

    def take(self) -> Taken: ...

    def close(self) -> None: ...


class _Held(NamedTuple):
    """What is known of a pod, or of the classes."""

    holds: Sequence[Goal]
    kubelets: Sequence[Change]
    containers: Sequence[tuple[str, bool]]
    groups: Mapping[str, str]
    home: str
    files: dict[File, list[tuple[Goal | None, Change]]]
    """None: kubelet's, which is not wanted otherwise but must be decided by"""
    directories: dict[str, bool]
    """→ whether it is there"""
    complete: bool
    """whether all that are there are watched, and all files of the pod are among these"""


class Suspects(NamedTuple):
    """What is to be looked at."""

    pods: set[str]
    """ids, CLASSES among them"""
    everything: bool = False


class Drift:
    """Used by the reconcile thread.

    open_watch   makes the watch, given what to call when there is something to look at. Raises OSError when the kernel gives none
    tell         a Warning Event on the Node: reason, message
    """

    def __init__(
        self,
        open_watch: Callable[[Callable[[], None]], Watch],
        is_right: Callable[[Goal], bool],
        ledger: Ledger,
        log: Log,
        tell: Callable[[str, str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.pace = Pace()
        self.overflows = 0
        """times that the kernel dropped events"""
        self._open_watch = open_watch
        self._is_right = is_right
        self._ledger = ledger
        self._log = log
        self._tell = tell
        self._monotonic = monotonic
        self._watch: Watch | None = None
        self._held: dict[str, _Held] = {}
        self._owners: dict[str, set[str]] = {}
        """directory → whose it is: ids of pods, of which there are several for the classes' directories, or CLASSES"""
        self._fresh: set[str] = set()
        """directories whose watch has just begun: what was written before it is not reported"""
        self._paused: dict[File, float] = {}
        """file that has lost its value → when it may be healed"""
        self._refused: set[str] = set()
        """directories that the kernel did not watch when it was asked last"""
        self._rests_until = float("-inf")
        self._put_off = False
        """whether there was something to look at while it rests"""
        self._refused_until = float("-inf")
        self._edits = -1
        self._version = 0
        """another one when anything else has changed that `covers` goes by"""
        self._covered: tuple[tuple[int, int, int] | None, set[str]] = (None, set())
        self._told = False

    def __len__(self) -> int:
        """Directories that are watched."""
        return 0 if self._watch is None else len(self._watch)

    @property
    def refused(self) -> int:
        """Directories that the kernel does not watch for us."""
        return len(self._refused)

    def start(self, woken: Callable[[], None]) -> None:
        """Before the first pass."""
        try:
            self._watch = self._open_watch(woken)
        except OSError as error:
            self._cannot(error)

    def stop(self) -> None:
        """After the last pass."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # -- what is watched ----------------------------------------------------------------------------------------------

    def follow(self, owner: str, directory: str, plan: PodPlan, writer: Writer, renew: bool = False) -> None:
        """A pod, or CLASSES, was planned: watch what it holds.

        directory   of the pod; "" for CLASSES
        renew       look whether what is watched is still the same directory; it may have been removed and made again
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
        # What kubelet had set where we are about to write is not there any more.
        kubelets = [(None, change) for change in plan.kubelets if change[:2] not in ours]
        for goal, change in [*((g, g.change) for g in plan.holds), *kubelets]:
            for file in writer.places(change):
                files.setdefault(file, []).append((goal, change))
        had = {} if before is None or renew else before.directories
        wanted = {place for place, _ in files} | _above(home, writer)
        directories = {place: had.get(place) or self._add(place, owner) for place in wanted}
        # What is given back is watched as kubelet's by the plan after this one, which a sweep makes.
        complete = plan.whole and not any(goal.restores for goal in plan.goals) and self._refused.isdisjoint(wanted)
        shown = plan.holds, plan.kubelets, plan.containers, plan.groups
        self._held[owner] = _Held(*shown, home, files, directories, complete)
        if before is not None:
            self._leave(owner, before.directories.keys() - wanted)

    def keep(self, pods: Iterable[Pod]) -> None:
        """These are all there are."""
        self._version += 1
        there = {pod.id for pod in pods} | {CLASSES}
        for owner in [o for o in self._held if o not in there]:
            self._leave(owner, self._held.pop(owner).directories)

    def covered(self, changes: int) -> set[str]:
        """All pods of which `covers` is true.

        changes   a number that is another one when `is_right` may answer otherwise
        """
        version = (self._ledger.edits, self._version, changes)
        if self._covered[0] != version:
            self._covered = version, {pod.id for pod in self._ledger.pods() if self.covers(pod.id)}
        return self._covered[1]

    def groups_of(self, pod_id: str) -> Mapping[str, str]:
        """Cgroup of a container → its resctrl group, as planned last."""
        held = self._held.get(pod_id)
        return {} if held is None else held.groups

    def covers(self, owner: str) -> bool:
        """Whether everything that happens to a pod's files, or the classes', is reported: then sweeps may rest.

        Not while a file has not had its value yet: only sweeps try on, once Failures has given up.
        """
        held = self._held.get(owner)
        if held is None or self._watch is None or not held.complete:
            return False
        if owner != CLASSES and list(held.containers) != _containers(self._ledger, owner):
            return False
        # What was never made, or is gone like a container that has ended, is not waited for.
        there = (of_file for file, of_file in held.files.items() if held.directories[file[0]])
        return all(goal is None or self._is_right(goal) for of_file in there for goal, _ in of_file)

    def uncovered(self) -> set[str]:
        """Pods of which a container has been started that is not watched yet, since it was asked last."""
        edits = self._ledger.edits
        if self._watch is None or edits == self._edits:
            return set()
        self._edits = edits
        pods = self._ledger.pods()
        self.keep(pods)
        return {pod.id for pod in pods if (held := self._held.get(pod.id)) is not None and self._lacks(pod.id, held)}

    # -- what happened ------------------------------------------------------------------------------------------------

    def due_at(self) -> float:
        """When `look` has something to do without being woken."""
        if self._put_off or self._fresh:
            return self._rests_until
        return max(min(self._paused.values(), default=float("inf")), self._rests_until)

    def scan(self, writer: Writer, waited_for: bool = False) -> Suspects:
        """Who has lost a value, as far as it is to be healed now.

        waited_for   somebody waits for the files to be right: now, whatever it costs
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
        """A pass over suspects has ended, and took so long."""
        self._rests_until = self._monotonic() + RESTS * took_s

    def times(self, change: Change, writer: Writer) -> int:
        """How often in a row a change's file has been healed."""
        return max((self.pace.times(file) for file in writer.places(change)), default=0)

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _narrowed(self, directories: set[str]) -> set[File]:
        """The cpusets below cgroups whose own cpuset was written: on v2, they have what their parents leave them, and nothing tells."""
        homes = {held.home for held in self._held.values()} if directories else set()
        uppers = homes | {os.path.dirname(home) for home in homes}
        uppers |= {os.path.dirname(directory) for directory in uppers}
        above = tuple(f"{directory}/" for directory in directories & uppers)
        if not above:
            return set()
        files = (file for held in self._held.values() for file in held.files)
        return {file for file in files if file[1] == _CPUS and file[0].startswith(above)}

    def _without(self, removed: Iterable[str]) -> set[str]:
        """Directories are no more. Whom that concerns: pods that are gone, and the classes, whose directories come back."""
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
        """Of a file that was written: whose it is, if it has lost its value and may be healed now."""
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
        """Watch a directory. Whether there is one; it is refused where it cannot be watched."""
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
        """Told once: sweeps do what the watch cannot."""
        if self._told:
            return
        self._told = True
        why = f"{os.strerror(error.errno or 0)}: see /proc/sys/fs/inotify/max_user_watches and max_user_instances"
        self._log.warning("cgroup_watch_limited", watched=len(self), error=why)
        self._tell("DriftSeenLate", f"what others write into cgroups is found only every 10 s: inotify: {why}")


def _above(home: str, writer: Writer) -> set[str]:
    """The directories above a pod's, which tell of its end, and may narrow its cpuset; the root of all cgroups cannot."""
    top, found = writer.home(ROOT_DIRECTORY), set[str]()
    while (home := os.path.dirname(home)).startswith(f"{top}/"):
        found.add(home)
    return found


def _same(held: _Held, plan: PodPlan) -> bool:
    if not plan.containers:  # the classes, whose goals are made anew each time
        return [goal.change for goal in held.holds] == [goal.change for goal in plan.holds] and not plan.kubelets
    return held.holds is plan.holds and held.kubelets is plan.kubelets and held.containers is plan.containers


def _containers(ledger: Ledger, pod_id: str) -> list[tuple[str, bool]]:
    return [(entry.id, entry.started) for entry in ledger.containers_of(pod_id)]
