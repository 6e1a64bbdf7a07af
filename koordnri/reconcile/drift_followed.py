"""What `Drift` knows of one pod, or of the cgroups above the pods: the files that it follows, and what they should have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.writer import Writer
from koordnri.reconcile.plan import Goal, PodPlan

File = tuple[str, str]
"""full directory, name"""

Values = Sequence[tuple[Goal | None, Change]]
"""Values that files should have. Goal None: the file is kubelet's; it has no decided value, but decisions depend on it"""


class Followed(NamedTuple):
    """One owner: the parts of its last plan that matter here (a whole plan is large), and its files."""

    holds: Sequence[Goal]
    kubelets: Sequence[Change]
    containers: Sequence[tuple[str, bool]]
    groups: Mapping[str, str]
    home: str
    """full directory of the pod; "" for the cgroups above the pods"""
    values: Values
    files: Mapping[File, Sequence[int]]
    """file → its values, by their numbers in `values`"""
    directories: dict[str, bool]
    """directory → whether it exists"""
    complete: bool
    """whether all existing directories are watched, and have all files of the pod"""

    def is_of(self, plan: PodPlan) -> bool:
        """Whether this plan has the same files and values."""
        if not plan.containers:  # the cgroups above the pods, whose goals are made again each time
            return [goal.change for goal in self.holds] == [goal.change for goal in plan.holds] and list(
                self.kubelets
            ) == list(plan.kubelets)
        return self.holds is plan.holds and self.kubelets is plan.kubelets and self.containers is plan.containers

    def has_files_of(self, values: Values, containers: Sequence[tuple[str, bool]], home: str) -> bool:
        """Whether these values belong into the same files, and all directories exist. A container that starts may get an inner cgroup."""
        return (
            self.home == home
            and self.containers == containers
            and [change[:2] for _, change in self.values] == [change[:2] for _, change in values]
            and all(self.directories.values())
        )

    def values_of(self, file: File) -> Values:
        """The values of one file; empty when it is none of ours."""
        return [self.values[number] for number in self.files.get(file, ())]

    def existing(self) -> Iterable[tuple[Goal | None, Change]]:
        """The values of files whose directory exists. Others were not made yet, or their container has ended."""
        return (self.values[n] for file, numbers in self.files.items() if self.directories[file[0]] for n in numbers)


def values_of(plan: PodPlan) -> Values:
    """The values that a plan depends on: those that were decided, and those that show what kubelet set."""
    ours = {goal.change[:2] for goal in plan.holds}
    # A file that we are about to write does not show kubelet's value any more.
    return [*((g, g.change) for g in plan.holds), *((None, c) for c in plan.kubelets if c[:2] not in ours)]


def files_of(values: Values, writer: Writer) -> dict[File, list[int]]:
    """File → its values, by their numbers."""
    files: dict[File, list[int]] = {}
    for number, (_, change) in enumerate(values):
        for file in writer.places(change):
            files.setdefault(file, []).append(number)
    return files


def directories_above(home: str, writer: Writer) -> frozenset[str]:
    """The directories above a pod's: they report its end, and may narrow its cpuset. Not the root of all cgroups, which cannot."""
    return _between(writer.home(ROOT_DIRECTORY), os.path.dirname(home))


@lru_cache(64)
def _between(top: str, directory: str) -> frozenset[str]:
    """This directory and those above it, below `top`. Most pods of a class have the same."""
    found = set[str]()
    while directory.startswith(f"{top}/"):
        found.add(directory)
        directory = os.path.dirname(directory)
    return frozenset(found)
