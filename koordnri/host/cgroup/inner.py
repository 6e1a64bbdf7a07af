"""The inner cgroup of a container: crun under systemd on v2 keeps processes in `<scope>/container`, with limits on both levels."""

from __future__ import annotations

from koordnri.host.cgroup.change import Change, Outcome, Status
from koordnri.host.cgroup.cpuset_value import file_value_of
from koordnri.host.cgroup.paths import inner_directory
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed

_SCOPE = ".scope"
_WELL = {Status.SAME: 0, Status.WRITTEN: 1}
"""rank of the good outcomes; all others are worse, and of two levels the worse one counts"""


class InnerDirectories:
    """Which containers have an inner cgroup. It exists before the container starts, and as long as the container does. So a container
    found without one is not checked again by this writer, which lives for one pass.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: dict[str, str] = {}
        """directory → its inner one, or "\""""

    def of(self, directory: str) -> str:
        """The inner directory, which has the processes; "" if they are in `directory` itself."""
        found = self._found.get(directory)
        if found is None:
            found = self._found[directory] = self._find(directory)
        return found

    def _find(self, directory: str) -> str:
        # Only a systemd scope has one; slices of pods and classes are not checked.
        if self._tree.version == 1 or not directory.endswith(_SCOPE):
            return ""
        inner = inner_directory(directory)
        try:
            return inner if self._tree.has(inner) else ""
        except WriteFailed:
            return ""

    def file_value(self, change: Change) -> FileValue | None:
        """The same change on the inner level, compared; None if there is no such level, or it lacks the file."""
        inner = self.of(change.directory)
        if not inner:
            return None
        file_value = file_value_of(self._tree, change._replace(directory=inner))
        file_value.compare()
        return None if file_value.status in (Status.GONE, Status.UNSUPPORTED) else file_value


def outcome_of(outer: FileValue, inner: FileValue) -> Outcome:
    """Outcome of a change on both levels: the worse one; of equal ones, that of the level with the processes."""
    found, below = outer.outcome(), inner.outcome()
    if below.status is Status.GONE:
        return found  # its last process has ended; systemd is about to remove the scope
    return max((below, found), key=lambda one: _WELL.get(one.status, len(_WELL)))._replace(change=outer.change)
