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
from koordnri.host.cgroup.value import Failed, Knob, Tree
from koordnri.model import fields

_LIMITS = (fields.MEMORY_LIMIT, fields.MEMORY_HIGH)


def steps_of(tree: Tree, knobs: Sequence[Knob], in_use: InUse) -> list[Step]:
    """Steps for those of one level's compared knobs that have no verdict yet."""
    steps: list[Step] = []
    bandwidths: dict[str, list[Knob]] = {}
    for knob in knobs:
        field = knob.change.field
        if field in BANDWIDTH and knob.status in (None, Status.SAME):
            bandwidths.setdefault(knob.change.directory, []).append(knob)
        elif knob.status is not None:
            continue
        elif field in _LIMITS:
            on_v1 = tree.version == 1 and field is fields.MEMORY_LIMIT
            steps.append(V1MemoryLimit(knob, in_use) if on_v1 else MemoryLimit(knob, in_use))
        elif field is fields.CPU_SHARES:
            steps.append(Weight(knob))
        elif field is fields.CPU_IDLE:
            steps.insert(0, Step(knob))  # before shares, which the kernel forgets whenever it changes
        else:
            steps.append(Step(knob))
    steps += [Bandwidth(tree, some) for some in bandwidths.values() if any(knob.status is None for knob in some)]
    return steps


class Weight(Step):
    """cpu.shares. The kernel takes none (EINVAL) of an idle cgroup: who is to have a weight cannot be idle."""

    def _set(self, value: Any) -> None:
        idle = Knob(self.tree, Change(self.directory, fields.CPU_IDLE, "", 0))
        with contextlib.suppress(Failed):  # the file is missing on kernels before 5.15
            idle.look()
            if not idle.done:
                idle.put(0)
        super()._set(value)
