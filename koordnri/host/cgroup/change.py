"""What is to be written into a cgroup, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from koordnri.model import Field


class Status(StrEnum):
    """What came of a change, or of a look at a file."""

    SAME = "same"
    """had the value already; nothing was written"""
    WRITTEN = "written"
    """written, and reads back as wanted"""
    GONE = "gone"
    """the cgroup does not exist (any more)"""
    UNSUPPORTED = "unsupported"
    """the cgroup has no such file: version, kernel or controllers do not offer it"""
    REFUSED = "refused"
    """by the kernel, or by us because it would do harm; the error says which and why"""
    WAITS = "waits"
    """not written yet: what it needs is another's to write, and will be there soon"""
    DRIFTED_BACK = "drifted-back"
    """the kernel took it, and yet another value reads back: somebody else writes, too, or the kernel took only a part"""
    FAULT = "fault"
    """a bug of ours; the error names it. It costs this file alone"""


class Change(NamedTuple):
    """One field of one cgroup.

    directory   below the controller's root, as `cgroup_paths` tells it
    field       of the model's table
    key         `major:minor` of the disk for io.max and io.weight, else ""
    value       in the field's unit, as `spelling` describes
    force       also put a memory limit below what is in use
    """

    directory: str
    field: Field
    key: str
    value: Any
    force: bool = False


class Outcome(NamedTuple):
    """`before` and `after` are values as read, None where nothing could be read. `error` is "" or names path, value and reason."""

    change: Change
    status: Status
    before: Any = None
    after: Any = None
    error: str = ""


class Reading(NamedTuple):
    """What a file says. `value` is None unless the status is `same`; then `error` says why."""

    value: Any
    status: Status = Status.SAME
    error: str = ""


def by_level(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes from the top of the tree downwards, cgroups of equal depth together, as `Writer.apply` wants them."""
    levels: dict[int, list[Change]] = {}
    for change in changes:
        levels.setdefault(change.directory.count("/"), []).append(change)
    return [levels[depth] for depth in sorted(levels)]
