"""Writes decided values into cgroups so that at no instant a child exceeds its parent, and reads back what it wrote.

    outcomes = Writer(Path("/"), 2).apply([class_changes, pod_changes, container_changes])

Two passes (koordinator.md 10.2). From the top down, each cgroup that has others below it only grows, to what covers its old and new value.
Then, from the bottom up, each gets its exact value. So the parent grows before its child, and the child shrinks before its parent, even if
some grow and some shrink. Where siblings share a value (memory.min and low), those that shrink come first, so that their sum never
exceeds the parent's. If a cgroup could not be changed, values that would then lie outside of its value are refused, not written.

A container's cgroup may have an inner level with the processes (`inner`). A change of one is a change of both, and has one outcome.

Belongs here: the order, the files, the kernel's answers. Does not belong here: which values, when, how often, what after a failure.
Everything is read before anything is written; equal values are not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from koordnri.host.cgroup.change import Change, Outcome, Reading, Status
from koordnri.host.cgroup.cpuset_value import effective, file_value_of, narrowed
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.in_use import InUse, usage_bytes
from koordnri.host.cgroup.inner import InnerDirectories, outcome_of
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.steps import steps_of
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed, failed_by
from koordnri.model import CPUSet, Field
from koordnri.model.field import PROCESSES, Nesting


class Writer:
    """Reads and writes the cgroups below `root`/sys/fs/cgroup. Between calls it keeps only how much it has reclaimed. One thread at a
    time.

    version   1 or 2, as `read_version` found it
    files     access to the kernel; tests pass a kernel that refuses
    """

    def __init__(self, root: Path, version: int, files: CgroupFiles | None = None) -> None:
        self._tree = Tree(root, version, files or CgroupFiles())
        self._in_use = InUse(self._tree)
        self._inner = InnerDirectories(self._tree)

    def bound_best_effort(self, bounds: tuple[CPUSet, ...]) -> None:
        """Cpusets of the class BestEffort's cgroup (v2) by which containers below it may be narrowed: that is meant, and no failure."""
        self._tree.best_effort = bounds

    def read(self, directory: str, field: Field, key: str = "") -> Reading:
        """A cgroup's value of a field, on the level with the processes. Never raises for what it finds."""
        if inner := self._inner.of(directory):
            found = self._read(inner, field, key)
            if found.status is Status.SAME:
                return found
        return self._read(directory, field, key)

    def read_levels(self, directory: str, field: Field, key: str = "") -> list[Reading]:
        """The same on every level: the cgroup's own, then the inner one with the processes, if there is one."""
        return [self._read(level, field, key) for level in (directory, self._inner.of(directory)) if level]

    def effective(self, directory: str, field: Field) -> CPUSet | None:
        """What of a cpuset is in effect on the level with the processes; None for other fields, on v1, and where it cannot be read."""
        if field.nesting is not Nesting.CPUSET or not field.v2:
            return None
        return effective(self._tree, self._inner.of(directory) or directory, field.v2[0])

    def _read(self, directory: str, field: Field, key: str) -> Reading:
        file_value = FileValue(self._tree, Change(directory, field, key, None))
        try:
            file_value.scan()
        except Exception as error:  # noqa: BLE001  # a read must not raise
            failed = failed_by(error)
            return Reading(None, failed.status, failed.error)
        return Reading(file_value.now)

    def holds(self, change: Change) -> bool:
        """Whether the wanted value is there; much cheaper than `apply`. Also False when it cannot be found out: `apply` says why."""
        if not self._holds(change):
            return False
        inner = self._inner.of(change.directory)
        # If the inner level lacks the file, only the outer one counts.
        return not inner or self._holds(change._replace(directory=inner), offered=False)

    def _holds(self, change: Change, offered: bool = True) -> bool:
        """offered   whether the file must be there"""
        found, tree = form(change.field, self._tree.version), self._tree
        if found is None:
            return False
        try:
            for name in found.files:
                path = tree.path(change.directory, name)
                try:
                    value = found.parse(tree.files.read(path), change.key)
                except FileNotFoundError:
                    continue
                return bool(found.same(change.value, value)) and not narrowed(tree, change, path)
            return not offered
        except (OSError, WriteFailed, TypeError, ValueError):
            return False

    def places(self, change: Change) -> list[tuple[str, str]]:
        """(full directory, name) of the files of a change, on both levels if the container has two. For a field that is spelled in
        several files, all of them, though only the first that exists counts.
        """
        found = form(change.field, self._tree.version)
        if found is None:
            return []
        inner, place = self._inner.of(change.directory), self._tree.place
        try:
            return [
                place(d, name)
                for d in (change.directory, inner)
                if d
                for name in found.files
                if not name.startswith(PROCESSES)  # nobody reports changes there
            ]
        except WriteFailed:
            return []

    def home(self, directory: str) -> str:
        """The full directory whose existence `has` checks; "" for a path outside of the cgroup root."""
        try:
            return self._tree.home(directory)
        except WriteFailed:
            return ""

    def has(self, directory: str) -> bool:
        """Whether the cgroup exists."""
        try:
            return self._tree.has(directory)
        except WriteFailed:
            return False

    def usage_bytes(self, directory: str) -> int | None:
        """Memory in use by a cgroup and those below it; None when unknown."""
        return usage_bytes(self._tree, directory)

    def apply(self, levels: Sequence[Sequence[Change]]) -> list[Outcome]:
        """Apply all changes. Returns the outcomes in the order of the changes.

        levels   from the top of the tree down: a cgroup is in a level after those of all cgroups above it (`by_level` sorts so)

        Raises ValueError for two changes of the same field of one cgroup. Never raises for what the kernel does.
        """
        _refuse_two_of_one(levels)
        pairs: list[tuple[FileValue, FileValue | None]] = []
        steps: list[list[Step]] = []
        for level in levels:
            outer = [file_value_of(self._tree, change) for change in level]
            for file_value in outer:
                file_value.compare()
            inner = [self._inner.file_value(change) for change in level]
            pairs += zip(outer, inner, strict=True)
            steps.append(steps_of(self._tree, outer, self._in_use))
            if below := [file_value for file_value in inner if file_value is not None]:
                steps.append(steps_of(self._tree, below, self._in_use))
        stuck: list[Step] = []
        upwards = [step for level_steps in reversed(steps) for step in level_steps]
        for step in upwards:
            step.narrow(stuck)
        # Nothing of ours is below the last level, so it need not make room first.
        for step in chain.from_iterable(steps[:-1]):
            step.widen(stuck)
        for step in upwards:
            step.settle(stuck)
        return [outer.outcome() if inner is None else outcome_of(outer, inner) for outer, inner in pairs]


def _refuse_two_of_one(levels: Iterable[Iterable[Change]]) -> None:
    """Raises ValueError when two changes are of the same field of the same cgroup."""
    seen: set[tuple[str, Field, str]] = set()
    for level in levels:
        for change in level:
            target = change[:3]
            if target in seen:
                name = change.field.named(change.key)
                raise ValueError(f"{change.directory}: expected one change of {name}, got two")
            seen.add(target)
