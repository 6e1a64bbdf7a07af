"""The level below a container's cgroup: crun under systemd on v2 keeps the processes in `<scope>/container`, with limits on both levels."""

from __future__ import annotations

from koordnri.host.cgroup.change import Change, Outcome, Status
from koordnri.host.cgroup.cpuset_value import file_value_of
from koordnri.host.cgroup.paths import inner_directory
from koordnri.host.cgroup.value import Failed, FileValue, Tree

_SCOPE = ".scope"
_WELL = {Status.SAME: 0, Status.WRITTEN: 1}
"""Of two levels the one that did worse counts; all else is worse than these."""


class InnerDirectories:
    """Which containers have such a level. It is there before the container starts, and stays as long as the container does; where there
    was none, none is looked for again, for each pass has a writer of its own.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: dict[str, str] = {}

    def of(self, directory: str) -> str:
        """The directory inside that has the processes; "" where they are in `directory` itself."""
        # Only a scope of systemd has one: a pod's slice and a class cost no look.
        if self._tree.version == 1 or not directory.endswith(_SCOPE):
            return ""
        found = self._found.get(directory)
        if found is None:
            inner = inner_directory(directory)
            try:
                there = self._tree.has(inner)
            except Failed:
                there = False
            found = self._found[directory] = inner if there else ""
        return found

    def file_value(self, change: Change) -> FileValue | None:
        """The same change on the inner level, compared; None where there is none, or its file is not offered there."""
        inner = self.of(change.directory)
        if not inner:
            return None
        file_value = file_value_of(self._tree, change._replace(directory=inner))
        file_value.compare()
        return None if file_value.status in (Status.GONE, Status.UNSUPPORTED) else file_value


def outcome_of(outer: FileValue, inner: FileValue | None) -> Outcome:
    """What came of a change on both levels: the worse of them, and of two alike, that of the level with the processes."""
    found = outer.outcome()
    if inner is None:
        return found
    below = inner.outcome()
    if below.status is Status.GONE:
        return found  # its last process has ended meanwhile; systemd removes the scope next
    return max((below, found), key=lambda one: _WELL.get(one.status, len(_WELL)))._replace(change=outer.change)
