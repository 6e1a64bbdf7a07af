"""Turns the changes of one level into steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from koordnri.host.cgroup.bandwidth import BandwidthStep
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.memory_limit import MemoryLimit, ThrottlingLimit
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed
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
        elif writing is Writing.VOIDS:
            steps.insert(0, Step(file_value))
        else:
            steps.append(_STEPS[writing](file_value, in_use))
    steps += [
        BandwidthStep(tree, some)
        for some in bandwidths.values()
        if any(file_value.status is None for file_value in some)
    ]
    return steps


class VoidableStep(Step):
    """A field that another one voids, as cpu.idle voids cpu.shares: the kernel refuses it (EINVAL) until the other one is neutral."""

    def _set(self, value: Any) -> None:
        other = self.field.void_while
        if other is not None:
            voids = FileValue(self.tree, Change(self.directory, other, "", other.neutral))
            with contextlib.suppress(WriteFailed):  # this kernel lacks the file
                voids.scan()
                if not voids.done:
                    voids.put(other.neutral)
        super()._set(value)


_STEPS: Mapping[Writing, Callable[[FileValue, InUse], Step]] = {
    Writing.ALONE: lambda file_value, in_use: Step(file_value),
    Writing.VOIDABLE: lambda file_value, in_use: VoidableStep(file_value),
    Writing.KILLS: MemoryLimit,
    Writing.THROTTLES: ThrottlingLimit,
}
"""Column `writing` → the step of one file; `steps_of` itself knows what concerns several"""
if missing := set(Writing) - _STEPS.keys() - {Writing.BANDWIDTH, Writing.VOIDS}:
    raise FieldTableError(f"koordnri.host.cgroup.steps has no step for {missing}")
