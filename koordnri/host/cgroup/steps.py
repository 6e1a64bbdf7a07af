"""Turns the changes of one level into steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from koordnri.host.cgroup.bandwidth import BandwidthStep
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.memory_limit import MemoryLimit, V1MemoryLimit
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed
from koordnri.model import fields
from koordnri.model.field import FieldTableError, Writing


def steps_of(tree: Tree, file_values: Sequence[FileValue], in_use: InUse) -> list[Step]:
    """Steps for those compared file values of one level that have no outcome yet."""
    steps: list[Step] = []
    bandwidths: dict[str, list[FileValue]] = {}
    for file_value in file_values:
        writing = file_value.change.field.writing
        if writing is Writing.BANDWIDTH and file_value.status in (None, Status.SAME):
            bandwidths.setdefault(file_value.change.directory, []).append(file_value)
        elif file_value.status is not None:
            continue
        elif writing is Writing.BEFORE_WEIGHT:
            steps.insert(0, Step(file_value))
        else:
            steps.append(_STEPS[writing](file_value, in_use))
    steps += [
        BandwidthStep(tree, some)
        for some in bandwidths.values()
        if any(file_value.status is None for file_value in some)
    ]
    return steps


class Weight(Step):
    """cpu.shares. The kernel refuses them (EINVAL) for an idle cgroup, so cpu.idle is cleared first."""

    def _set(self, value: Any) -> None:
        idle = FileValue(self.tree, Change(self.directory, fields.CPU_IDLE, "", 0))
        with contextlib.suppress(WriteFailed):  # kernels before 5.15 lack the file
            idle.scan()
            if not idle.done:
                idle.put(0)
        super()._set(value)


def _memory_limit(file_value: FileValue, in_use: InUse) -> Step:
    on_v1 = file_value.tree.version == 1 and file_value.change.field is fields.MEMORY_LIMIT
    return V1MemoryLimit(file_value, in_use) if on_v1 else MemoryLimit(file_value, in_use)


_STEPS: Mapping[Writing, Callable[[FileValue, InUse], Step]] = {
    Writing.ALONE: lambda file_value, in_use: Step(file_value),
    Writing.WEIGHT: lambda file_value, in_use: Weight(file_value),
    Writing.BYTES_IN_USE: _memory_limit,
}
"""Column `writing` → the step of one file; `steps_of` itself knows what concerns several"""
if missing := set(Writing) - _STEPS.keys() - {Writing.BANDWIDTH, Writing.BEFORE_WEIGHT}:
    raise FieldTableError(f"koordnri.host.cgroup.steps has no step for {missing}")
