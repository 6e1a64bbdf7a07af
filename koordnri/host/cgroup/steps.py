"""Which steps the changes of one level come to."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from koordnri.host.cgroup.bandwidth import BANDWIDTH, Bandwidth
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.memory_limit import MemoryLimit, V1MemoryLimit
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import Failed, FileValue, Tree
from koordnri.model import fields

_LIMITS = (fields.MEMORY_LIMIT, fields.MEMORY_HIGH)


def steps_of(tree: Tree, file_values: Sequence[FileValue], in_use: InUse) -> list[Step]:
    """Steps for those of one level's compared file_values that have no verdict yet."""
    steps: list[Step] = []
    bandwidths: dict[str, list[FileValue]] = {}
    for file_value in file_values:
        field = file_value.change.field
        if field in BANDWIDTH and file_value.status in (None, Status.SAME):
            bandwidths.setdefault(file_value.change.directory, []).append(file_value)
        elif file_value.status is not None:
            continue
        elif field in _LIMITS:
            on_v1 = tree.version == 1 and field is fields.MEMORY_LIMIT
            steps.append(V1MemoryLimit(file_value, in_use) if on_v1 else MemoryLimit(file_value, in_use))
        elif field is fields.CPU_SHARES:
            steps.append(Weight(file_value))
        elif field is fields.CPU_IDLE:
            steps.insert(0, Step(file_value))  # before shares, which the kernel forgets whenever it changes
        else:
            steps.append(Step(file_value))
    steps += [
        Bandwidth(tree, some) for some in bandwidths.values() if any(file_value.status is None for file_value in some)
    ]
    return steps


class Weight(Step):
    """cpu.shares. The kernel takes none (EINVAL) of an idle cgroup: who is to have a weight cannot be idle."""

    def _set(self, value: Any) -> None:
        idle = FileValue(self.tree, Change(self.directory, fields.CPU_IDLE, "", 0))
        with contextlib.suppress(Failed):  # the file is missing on kernels before 5.15
            idle.scan()
            if not idle.done:
                idle.put(0)
        super()._set(value)
