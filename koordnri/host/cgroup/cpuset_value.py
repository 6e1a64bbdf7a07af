"""cpuset.cpus and cpuset.mems on v2, where a set value need not be in effect: the kernel accepts CPUs that the parent lacks, and uses the
parent's. `cpuset.cpus.effective` has what processes can use. A set counts as written when it reads back there too (cgroup-v2.rst).
"""

from __future__ import annotations

import os

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed
from koordnri.model import CPUSet
from koordnri.model.field import Nesting

_EFFECTIVE = ".effective"
_BEST_EFFORT = "besteffort"
"""part of the path of all cgroups below the class, with either driver"""


def file_value_of(tree: Tree, change: Change) -> FileValue:
    """The file value for a change, by its field."""
    if tree.version == 2 and change.field.nesting is Nesting.CPUSET:
        return CpusetFileValue(tree, change)
    return FileValue(tree, change)


class CpusetFileValue(FileValue):
    """See the module. `narrowed` says what is not in effect, and because of which cgroup; "" when everything is."""

    __slots__ = ("narrowed",)

    def __init__(self, tree: Tree, change: Change) -> None:
        super().__init__(tree, change)
        self.narrowed = ""

    def scan(self) -> None:
        self.narrowed = ""
        super().scan()
        if self.is_set:
            self.narrowed = narrowed(self.tree, self.change, self.path)

    @property
    def done(self) -> bool:
        return self.is_set and not self.narrowed

    def judge(self) -> None:
        super().judge()
        if self.status is Status.DRIFTED_BACK and self.narrowed:
            self.error = self.narrowed


def narrowed(tree: Tree, change: Change, path: str) -> str:
    """What of the cpuset in file `path` is not in effect, and because of which cgroup; "" when all is, or it cannot be found out."""
    if tree.version == 1 or change.field.nesting is not Nesting.CPUSET or not change.value:
        return ""
    wanted, name = CPUSet.parse(change.value), os.path.basename(path) + _EFFECTIVE
    effective = _cpus_of(tree, change.directory, name)
    if effective is None or effective == wanted:
        return ""
    present = _cpus_of(tree, ROOT_DIRECTORY, name)
    if present is not None:
        if present <= wanted:
            return ""  # the wanted set has all CPUs, which means no limit, so the parent's set is right
        wanted &= present  # the others are offline
    if wanted and effective == wanted:
        return ""
    if tree.best_effort and _BEST_EFFORT in change.directory:
        for bound in tree.best_effort:
            its = bound if present is None else bound & present
            # Without a common CPU the kernel uses the parent's.
            if effective == (wanted & its or its):
                return ""
    what = f"{path}: {change.value} is set, but {effective or 'nothing'} is in effect"
    if not wanted:
        return f"{what}: none of them is online"
    above, its = _narrowest_above(tree, change.directory, name, wanted)
    return f"{what}: {above} above it has only {its}" if above else f"{what}: the rest is another cgroup's alone"


def _narrowest_above(tree: Tree, directory: str, name: str, wanted: CPUSet) -> tuple[str, CPUSet]:
    """The topmost cgroup above that lacks some of these, and its set: its own cpuset is the one that narrows."""
    found = ("", CPUSet())
    while directory := os.path.dirname(directory):
        its = _cpus_of(tree, directory, name)
        if its is not None:
            if wanted <= its:
                break
            found = (directory, its)
    return found


def effective(tree: Tree, directory: str, file: str) -> CPUSet | None:
    """What of a cpuset file is in effect, the parents' sets included; None on v1, and where it cannot be read."""
    return None if tree.version == 1 else _cpus_of(tree, directory, file + _EFFECTIVE)


def _cpus_of(tree: Tree, directory: str, name: str) -> CPUSet | None:
    """None if the file is missing or malformed; then the set value has to suffice."""
    try:
        return CPUSet.parse(tree.files.read(tree.path(directory, name)).strip())
    except (OSError, WriteFailed, ValueError):
        return None
