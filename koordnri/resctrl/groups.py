"""Resctrl groups: makes them, writes their schemata, and removes them, as pods and policy require.

Wiring (one ResctrlGroups per daemon):

    reconcile thread, in each pass, before anything is decided:
        outcomes = groups.reconcile(ledger.pods(), policy, node, complete=a Synchronize has been answered)
        when `groups.refused` is another than before: take a new snapshot, in which the node is `groups.applied(node)`

The pass makes groups and writes their schemata before threads are moved into them (resctrl_threads). A group that is not wanted any more,
but whose pod lives, is removed after its threads have left it, so that they are never without limits.

koordnri's names are LSR, LS, BE and koordlet-*. Other groups are never changed. Class groups are given back only if koordnri made or took
them (`owned`, kept in the state directory): under the default policy, a koordlet on the same node keeps its own.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from koordnri.host.resctrl_groups import ROOT_GROUP, ResctrlRefused, ResctrlTree
from koordnri.model import NodeState, Pod
from koordnri.model.schemata import Lines, full
from koordnri.policy import Policy
from koordnri.resctrl.choice import CLASS_GROUPS, POD_PREFIX, caches_of, is_ours
from koordnri.resctrl.plan import Plan, WantedGroup, plan
from koordnri.resctrl.stats import ResctrlStats

MOST_PASSES = 10
"""Most scans in one `settle` for threads in the wrong group. Each scan finds threads created during the one before. If a container creates
threads faster, the next pass continues."""
OWN_PID_NAMESPACE = "thread ids are not the host's: the daemon runs in a pid namespace of its own, set hostPID: true"
READ_ONLY = "resctrl is mounted read-only where the daemon runs: mount the host's /sys/fs/resctrl there, writable"
NO_CLASS = "the CPU has no class of service or monitor left for another group"
_NOTHING: Mapping[str, str] = MappingProxyType({})


class GroupOutcome(NamedTuple):
    """What was done to one group; there is no outcome when nothing was done."""

    group: str
    what: str
    """made, schemata, note, removed or emptied"""
    error: str = ""
    """why it could not be done; for a note, its text"""
    pod: Pod | None = None
    """owner of the group; None for a class"""


class ResctrlGroups:
    """See the module. Used by the reconcile thread.

    owned   names of the groups that were ours when the daemon ended
    keep    saves those names at once; called before a group is made, and after one was given back
    """

    def __init__(
        self,
        tree: ResctrlTree,
        owned: Iterable[str] = (),
        keep: Callable[[list[str]], None] = lambda names: None,
    ) -> None:
        self.stats = ResctrlStats()
        self.refused: Mapping[str, str] = _NOTHING
        """group that is wanted and could not be made → why; replaced whole"""
        self.wanted = Plan(False, {}, frozenset(), frozenset())
        """plan of the last pass"""
        self.made = threading.Condition()
        """notified whenever something was done to a group, for threads that wait for one"""
        self._tree = tree
        self._owned = set(owned)
        self._keep = keep
        self._right: dict[str, Lines] = {}
        """group → its lines as last read back"""
        self._noted: dict[str, tuple[str, ...]] = {}
        self._leaving: set[str] = set()
        """groups to be removed once their threads have left"""
        self._reported: dict[tuple[str, str], str] = {}
        """(group, what was tried) → why it was refused, as reported"""

    def read_only(self) -> str:
        """Why no thread can be put into a group; "" when it can. Thread ids are the host's only with hostPID."""
        if not self._tree.shares_pids():
            return OWN_PID_NAMESPACE
        return "" if self._tree.is_writable() else READ_ONLY

    def reconcile(
        self, pods: Iterable[Pod], policy: Policy, node: NodeState, *, complete: bool = True
    ) -> list[GroupOutcome]:
        """Make, correct and remove groups. Returns what was done or failed.

        pods       all pods of the node, even in a pass about one
        complete   whether `pods` is complete; before Synchronize it is not, and no group counts as that of a vanished pod
        """
        present = self._tree.groups() if node.resctrl is not None else None
        if present is None:  # resctrl is not mounted: then the groups are gone, too
            self.refused, self._right, self._leaving = _NOTHING, {}, set()
            self.stats.groups = self.stats.refused = 0
            return []
        self.wanted = wanted = plan(pods, policy, node)
        outcomes = self._bring(wanted, present)
        outcomes += self._give_back_classes(wanted, present, node)
        outcomes += self._remove(self._unwanted(wanted, present, complete))
        self.stats.refused = len(self.refused)
        self.stats.groups = sum(map(is_ours, self._tree.groups() or ()))
        return outcomes

    def remove_left(self, present: frozenset[str]) -> None:
        """Remove those of the `present` groups whose threads have left them by now."""
        going, self._leaving = self._leaving & present, set()
        self._remove(sorted(going))

    def applied(self, node: NodeState) -> NodeState:
        """The node state for decisions: with the groups that could not be made, and whether any can."""
        if node.resctrl is None:
            self.stats.read_only = ""
            return node
        self.stats.read_only = read_only = self.read_only()
        if node.resctrl.refused == self.refused and node.resctrl.read_only == read_only:
            return node
        return replace(node, resctrl=replace(node.resctrl, refused=self.refused, read_only=read_only))

    def _bring(self, wanted: Plan, present: frozenset[str]) -> list[GroupOutcome]:
        outcomes: list[GroupOutcome] = []
        refused: dict[str, str] = {}
        self._own(self._owned | wanted.groups.keys() | (wanted.kept & present))
        there = {group for group in wanted.groups if group in present}
        no_class = ""
        for group, one in wanted.groups.items():
            if group not in there:
                problem, number = (no_class, errno.ENOSPC) if no_class else self._make(group)
                if number == errno.ENOSPC and group in CLASS_GROUPS and (last := _last_of_a_pod(wanted, there)):
                    # No class of service is left. A class's group serves many pods, so the last pod's own group makes room.
                    outcomes += self._remove([last])
                    there.discard(last)
                    problem, number = self._make(group)
                outcomes += self._did(group, "made", problem, one.pod)
                if problem:
                    refused[group] = problem
                    no_class = problem if number == errno.ENOSPC else no_class
                    continue
                there.add(group)
                self._right.pop(group, None)
            outcomes += self._set(group, one)
        self._leaving -= wanted.groups.keys()
        if refused != self.refused:
            self.refused = MappingProxyType(refused)
        if outcomes:
            with self.made:
                self.made.notify_all()
        return outcomes

    def _make(self, group: str) -> tuple[str, int]:
        """(error, its errno)"""
        try:
            self._tree.make(group)
        except ResctrlRefused as refused:
            if refused.number == errno.ENOSPC:  # the same text for all groups, so that it is reported once
                return f"{NO_CLASS}{refused.status and f': {refused.status}'}", refused.number
            return str(refused), refused.number
        return "", 0

    def _set(self, group: str, one: WantedGroup) -> list[GroupOutcome]:
        """Write the lines that differ, and read them back."""
        lines, notes = one.schemata
        outcomes = []
        if notes != self._noted.get(group, ()):
            self._noted[group] = notes
            outcomes += [GroupOutcome(group, "note", note, one.pod) for note in notes]
        problem, wrote = self._write_lines(group, lines)
        if wrote and self._right.get(group) == lines:
            self.stats.drift += 1
        if wrote or problem:
            outcomes += self._did(group, "schemata", problem, one.pod)
        if not problem:
            self._right[group] = lines
        return outcomes

    def _write_lines(self, group: str, lines: Lines) -> tuple[str, bool]:
        """(error, whether anything was written). If a line is refused, the others are written all the same."""
        problems, wrote = [], False
        try:
            for resource, values in self._differing(group, lines):
                wrote = True
                try:
                    self._tree.set_line(group, resource, values)
                except ResctrlRefused as refused:
                    problems.append(str(refused))
            if wrote and not problems:
                problems += [
                    f"{group}: {resource} was written and does not read back"
                    for resource, _ in self._differing(group, lines)
                ]
        except ResctrlRefused as refused:
            problems.append(str(refused))
        return "; ".join(problems), wrote

    def _differing(self, group: str, lines: Lines) -> list[tuple[str, dict[int, int]]]:
        has = self._tree.schemata(group)
        return [
            (resource, values)
            for resource, values in lines.items()
            if {i: has.get(resource, {}).get(i) for i in values} != values
        ]

    def _give_back_classes(self, wanted: Plan, present: frozenset[str], node: NodeState) -> list[GroupOutcome]:
        """For a class that is not enabled any more: give its group all cache and bandwidth and move its threads out, once. The empty group
        stays, since a container that is being created may name it.
        """
        outcomes: list[GroupOutcome] = []
        for group in CLASS_GROUPS:
            if group not in self._owned or group in wanted.groups:
                continue
            if group in present and node.resctrl is not None:
                problem, _ = self._write_lines(group, full(caches_of(node.resctrl), node.resctrl.bandwidth))
                problem = problem or self._empty(group)
                outcomes += self._did(group, "emptied", problem)
                if problem:
                    continue
            self._right.pop(group, None)
            self._own(self._owned - {group})
        return outcomes

    def _empty(self, group: str) -> str:
        if read_only := self.read_only():
            return read_only
        try:
            for _ in range(MOST_PASSES):
                threads = self._tree.tasks(group)
                if not threads:
                    return ""
                for thread in sorted(threads):
                    self.stats.moved += self._tree.put(ROOT_GROUP, thread)
        except ResctrlRefused as refused:
            return str(refused)
        return f"{group}: threads appear faster than they are moved to the root group"

    def _unwanted(self, wanted: Plan, present: frozenset[str], complete: bool) -> list[str]:
        """Pods' groups to be removed now. If the pod lives, its group waits until its threads have left."""
        now = []
        for group in sorted(g for g in present if g.startswith(POD_PREFIX)):
            if group in wanted.groups or group in wanted.kept:
                continue
            if not wanted.on:
                if group in self._owned:
                    now.append(group)
            elif group in wanted.pods:
                if group in self._leaving:
                    now.append(group)
                self._leaving.add(group)
            elif complete:
                now.append(group)
        stale = {g for g in self._owned if g.startswith(POD_PREFIX)} - present - wanted.groups.keys()
        if stale:
            self._own(self._owned - stale)
        return now

    def _remove(self, groups: Iterable[str]) -> list[GroupOutcome]:
        outcomes: list[GroupOutcome] = []
        for group in groups:
            problem = ""
            try:
                self._tree.remove(group)
            except ResctrlRefused as refused:
                problem = str(refused)
            else:
                self._leaving.discard(group)
                self._right.pop(group, None)
                self._noted.pop(group, None)
                self._own(self._owned - {group})
            outcomes += self._did(group, "removed", problem)
        return outcomes

    def _own(self, names: set[str]) -> None:
        if names != self._owned:
            self._owned = set(names)
            self._keep(sorted(names))

    def _did(self, group: str, what: str, problem: str, pod: Pod | None = None) -> list[GroupOutcome]:
        """Count it. A refusal for the same reason as before is not reported again."""
        self.stats.actions[what, "refused" if problem else "ok"] += 1
        if problem and self._reported.get((group, what)) == problem:
            return []
        if problem:
            self._reported[group, what] = problem
        else:
            self._reported.pop((group, what), None)
        return [GroupOutcome(group, what, problem, pod)]


def _last_of_a_pod(wanted: Plan, there: set[str]) -> str:
    """The most recently made of the pods' own groups; "" when there is none."""
    return next((group for group, one in reversed(wanted.groups.items()) if one.pod is not None and group in there), "")
