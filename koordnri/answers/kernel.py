"""What one cgroup has now, field by field, as read from the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.spelling import Form, form
from koordnri.host.cgroup.writer import Writer
from koordnri.host.resctrl_groups import ResctrlRefused, ResctrlTree
from koordnri.model import Field, NodeState, fields

ROOT_NAME = "(root group)"
"""How a thread in no group of ours is shown."""


class KernelReader(NamedTuple):
    """The kernel, as one question reads it."""

    writer: Writer
    node: NodeState
    resctrl: Callable[[], ResctrlTree]

    def now(self, directory: str, field: Field, key: str, value: Any) -> dict[str, Any]:
        """What the kernel has of a field:

            kernel      the value on the level with the processes; None when nothing shows it
            outer       only under crun with the systemd driver: the value of the scope around that level
            effective   only of cpusets on cgroup v2: the CPUs or memory nodes that are in effect
            agrees      whether all levels have `value`; None when nothing shows it, or no value is wanted
            error       only if a file that should be there cannot be read

        directory   the cgroup, below the cgroup root; "" when it is not known
        key         the disk's path, of a field of disks
        value       the wanted one; None when none is
        """
        if not directory:
            return {"kernel": None, "agrees": None}
        if field is fields.RDT_CLOSID:
            return self._group(directory, value)
        spelled = form(field, self.node.cgroup_version)
        if spelled is None:
            return {"kernel": None, "agrees": None}
        return self._files(directory, field, spelled, (self.node.block_devices or {}).get(key, key), value)

    def _files(self, directory: str, field: Field, spelled: Form, disk: str, value: Any) -> dict[str, Any]:
        readings = self.writer.read_levels(directory, field, disk)
        levels = [one.value for one in readings if one.status is Status.SAME]
        shape: dict[str, Any] = {"kernel": levels[-1] if levels else None}
        if len(levels) > 1:
            shape["outer"] = levels[0]
        if (effective := self.writer.effective(directory, field)) is not None:
            shape["effective"] = str(effective)
        known = bool(levels) and value is not None
        shape["agrees"] = all(spelled.same(value, level) for level in levels) if known else None
        if not levels and value is not None:
            shape["error"] = readings[0].error or f"the cgroup or its file is {readings[0].status.value}"
        return shape

    def _group(self, directory: str, value: Any) -> dict[str, Any]:
        """The resctrl groups that have the cgroup's threads."""
        tree = self.resctrl()
        names = tree.groups()
        if names is None:
            return {"kernel": None, "agrees": None}
        try:
            left, found = tree.threads(directory, self.node.cgroup_version), []
            for name in sorted(names):
                if inside := left & tree.tasks(name):
                    left -= inside
                    found.append(name)
        except ResctrlRefused as refused:
            return {"kernel": None, "agrees": None, "error": str(refused)}
        if left:
            found.append(ROOT_NAME)
        return {"kernel": ", ".join(found) or None, "agrees": found == [value] if found and value else None}
