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
"""The values of one file. Goal None: the file is kubelet's; it has no decided value, but decisions depend on it"""


class Followed(NamedTuple):
    """One owner: the parts of its last plan that matter here (a whole plan is large), and its files."""

    holds: Sequence[Goal]
    kubelets: Sequence[Change]
    containers: Sequence[tuple[str, bool]]
    groups: Mapping[str, str]
    home: str
    """full directory of the pod; "" for the cgroups above the pods"""
    files: Mapping[File, Values]
    directories: dict[str, bool]
    """directory → whether it exists"""
    complete: bool
    """whether all existing directories are watched, and have all files of the pod"""

    def is_of(self, plan: PodPlan) -> bool:
        """Whether this plan has the same files and values."""
        if not plan.containers:  # the cgroups above the pods, whose goals are made again each time
            return [goal.change for goal in self.holds] == [goal.change for goal in plan.holds] and not plan.kubelets
        return self.holds is plan.holds and self.kubelets is plan.kubelets and self.containers is plan.containers

    def existing(self) -> Iterable[Values]:
        """The files whose directory exists. Others were not made yet, or their container has ended."""
        return (values for file, values in self.files.items() if self.directories[file[0]])


def files_of(plan: PodPlan, writer: Writer) -> dict[File, list[tuple[Goal | None, Change]]]:
    """The files that a plan depends on: those with a decided value, and those that show what kubelet set."""
    files: dict[File, list[tuple[Goal | None, Change]]] = {}
    ours = {goal.change[:2] for goal in plan.holds}
    # A file that we are about to write does not show kubelet's value any more.
    kubelets = [(None, change) for change in plan.kubelets if change[:2] not in ours]
    for goal, change in [*((g, g.change) for g in plan.holds), *kubelets]:
        for file in writer.places(change):
            files.setdefault(file, []).append((goal, change))
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
