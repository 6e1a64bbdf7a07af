"""A value to be written into a cgroup, and its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from koordnri.model import Field


class Status(StrEnum):
    """Outcome of a change, or of reading a file."""

    SAME = "same"
    """the file had the value; nothing was written"""
    WRITTEN = "written"
    """written, and reads back as wanted"""
    GONE = "gone"
    """the cgroup does not exist (any more)"""
    UNSUPPORTED = "unsupported"
    """the cgroup has no such file: version, kernel or controllers do not offer it"""
    REFUSED = "refused"
    """by the kernel, or by us because it would do harm; the error names which and why"""
    WAITS = "waits"
    """not written yet: it needs a value that another writer will write soon"""
    DRIFTED_BACK = "drifted-back"
    """the kernel accepted it, but another value reads back: somebody else writes too, or the kernel applied only a part"""
    FAULT = "fault"
    """a bug of ours; the error names it. It costs only this file"""


class Change(NamedTuple):
    """One field of one cgroup.

    directory   below the controller's root, as in `cgroup.paths`
    field       of the model's table
    key         `major:minor` of the disk for io.max and io.weight, else ""
    value       in the field's unit, as in `spelling`
    force       set a memory limit even below what is in use
    """

    directory: str
    field: Field
    key: str
    value: Any
    force: bool = False


class Outcome(NamedTuple):
    """`before` and `after` are values as read, None if nothing could be read. `error`: "", or path, value and reason."""

    change: Change
    status: Status
    before: Any = None
    after: Any = None
    error: str = ""


class Reading(NamedTuple):
    """Content of a file. `value` is None unless the status is `same`; then `error` says why."""

    value: Any
    status: Status = Status.SAME
    error: str = ""


def by_level(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes from the top of the tree down, cgroups of equal depth together, as `Writer.apply` needs them."""
    levels: dict[int, list[Change]] = {}
    for change in changes:
        levels.setdefault(change.directory.count("/"), []).append(change)
    return [levels[depth] for depth in sorted(levels)]
