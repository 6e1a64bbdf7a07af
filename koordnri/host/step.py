"""What is changed of one cgroup in one go: one field, or those that the kernel ties together.

A step first narrows, where siblings share what their parent has: those that are to have less make room for those that are to have
more. Then it widens (to what covers the value now and the one wanted), later settles (on the exact value). It minds the steps that got
stuck: a child is not put beyond a parent that could not grow, nor a parent below a child that would not shrink.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from koordnri.host.change import Change, Status
from koordnri.host.in_use import InUse
from koordnri.host.knob import Failed, Knob, Tree, failed_by
from koordnri.host.nesting import LIMIT, PROTECTION, nesting, ratio
from koordnri.model import UNLIMITED, Field, fields

BANDWIDTH = (fields.CPU_QUOTA, fields.CPU_PERIOD, fields.CPU_BURST)
_LIMITS = (fields.MEMORY_LIMIT, fields.MEMORY_HIGH)
_SWAP_LIMIT = "memory.memsw.limit_in_bytes"
_V1_BVT = "cpu.bvt_warp_ns"


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


class Step:
    """One field by itself."""

    def __init__(self, knob: Knob) -> None:
        self.tree = knob.tree
        self.knobs = [knob]
        self.directory = knob.change.directory
        self.field = knob.change.field
        self.nesting = nesting(self.field, self.tree.version)
        self._stuck: list[Step] = []

    @property
    def has(self) -> Any:
        """The value now, as the nesting compares it; None when it could not be read."""
        return self.knobs[0].now

    @property
    def wants(self) -> Any:
        """The value wanted, as the nesting compares it."""
        value = self.knobs[0].change.value
        # 0 is no limit, too, as everywhere in the model.
        return UNLIMITED if self.nesting is LIMIT and value <= 0 else value

    def narrow(self, stuck: list[Step]) -> None:
        """Before the first pass: give back what siblings may get. Only for what is shared; else there is nothing to give."""
        self._attempt(self._narrow, stuck)

    def widen(self, stuck: list[Step]) -> None:
        """First pass: make room, if there is to be more."""
        self._attempt(self._widen, stuck)

    def settle(self, stuck: list[Step]) -> None:
        """Second pass: the exact value, and the verdict."""
        if all(knob.now is not None for knob in self.knobs):
            self._attempt(self._settle, stuck)
        for knob in self.knobs:
            knob.conclude()

    def _attempt(self, act: Callable[[], None], stuck: list[Step]) -> None:
        self._stuck = stuck
        try:
            act()
        except Exception as error:  # noqa: BLE001  # a bug in one step must not cost the others
            failed = failed_by(error)
            for knob in self.knobs:
                try:
                    knob.look()
                except Exception as now:  # noqa: BLE001  # it may be gone by now, whatever the kernel said before
                    knob.fail(failed_by(now))
                    continue
                if knob.done:
                    knob.judge()
                else:
                    knob.fail(failed)
            if self.has is not None:
                stuck.append(self)

    def _narrow(self) -> None:
        if self.nesting is PROTECTION and self.has is not None and not PROTECTION.covers(self.wants, self.has):
            self._settle()

    def _widen(self) -> None:
        if self.nesting is None or self.has is None:  # None: gone since it was to be narrowed
            return
        if not self.nesting.covers(self.has, self.wants):
            room = self.nesting.join(self.has, self.wants)
            self._check_room(room)
            self._set(room)

    def _settle(self) -> None:
        knob = self.knobs[0]
        if not knob.is_set:
            self._check_room(self.wants)
            self._set(self.wants)
        elif not knob.done:
            knob.look()  # it was not in effect; what stands above it may have been widened since
        self._judge()

    def _set(self, value: Any) -> None:
        self.knobs[0].write(value)

    def _judge(self) -> None:
        for knob in self.knobs:
            knob.judge()
        if any(knob.status is Status.DRIFTED_BACK for knob in self.knobs):
            self._stuck.append(self)

    def _check_room(self, value: Any) -> None:
        """Raises Failed when the value does not go with a relative that is stuck. v1 would refuse most of it, v2 nothing."""
        for other in self._stuck:
            if other.field is not self.field or self.nesting is None or other.has is None:
                continue
            if self.directory.startswith(f"{other.directory}/"):
                fits, where = self.nesting.fits(value, other.has), "above"
            elif other.directory.startswith(f"{self.directory}/"):
                fits, where = self.nesting.fits(other.has, value), "below"
            else:
                continue
            if not fits:
                raise Failed(
                    Status.REFUSED,
                    f"{self.knobs[0].path}: {self.field.name} not set to {value}: "
                    f"{other.directory} {where} could not be changed and keeps {other.has}",
                )


class Weight(Step):
    """cpu.shares. The kernel takes none (EINVAL) of an idle cgroup: who is to have a weight cannot be idle."""

    def _set(self, value: Any) -> None:
        idle = Knob(self.tree, Change(self.directory, fields.CPU_IDLE, "", 0))
        with contextlib.suppress(Failed):  # the file is missing on kernels before 5.15
            idle.look()
            if not idle.done:
                idle.put(0)
        super()._set(value)


class MemoryLimit(Step):
    """memory.limit and memory.high. Neither goes below what is in use, unless that is forced.

    memory.high goes as low as it may at once, and stays refused until it is where it is to be: each further try brings it nearer.
    """

    def __init__(self, knob: Knob, in_use: InUse) -> None:
        super().__init__(knob)
        self._in_use = in_use

    def _settle(self) -> None:
        if not self.knobs[0].done and not self.knobs[0].change.force and not LIMIT.covers(self.wants, self.has):
            self._shrink()
        super()._settle()

    def _shrink(self) -> None:
        """Raises Failed when it cannot have the wanted value yet."""
        knob = self.knobs[0]
        least = self._in_use.least_for(self.field, self.directory)
        if least is not None and least > self.wants:
            self._in_use.reclaim(self.directory, least - self.wants)
            least = self._in_use.least_for(self.field, self.directory)
        if least is None or least <= self.wants:
            return
        error = f"{knob.path}: {self.field.name} not set to {self.wants}: {least} bytes are in use"
        if self.field is fields.MEMORY_HIGH:
            error += ", with a margin"
            if not LIMIT.covers(least, self.has):
                self._check_room(least)
                self._set(least)
                error += f"; set to {knob.now} for now"
        raise Failed(Status.REFUSED, f"{error}; wait until it uses less, or force it")


class V1MemoryLimit(MemoryLimit):
    """memory.limit on v1, where the kernel refuses (EINVAL) to have it above the limit of memory and swap together.

    The runtime sets both alike, which means no swap; alike they stay. A larger one is left alone.
    """

    def _set(self, value: int) -> None:
        knob = self.knobs[0]
        path = os.path.join(os.path.dirname(knob.path), _SWAP_LIMIT)
        old, both = knob.now, None
        # The file is missing where the kernel does not account swap.
        with contextlib.suppress(Failed, ValueError):
            both = None if knob.form is None else knob.form.parse(self.tree.text(path), "")
        if both is not None and not LIMIT.covers(both, value):
            self.tree.put(path, knob.spell(value), self.field)
        knob.write(value)
        if both is not None and both == old and not LIMIT.covers(value, both):
            self.tree.put(path, knob.spell(value), self.field)


class Bandwidth(Step):
    """Quota, period and burst: the kernel compares quota / period with the parent's, and refuses a burst above the quota.

    Without a change of its own, each keeps its value. On v2 quota and period are one write.
    """

    def __init__(self, tree: Tree, knobs: list[Knob]) -> None:
        super().__init__(knobs[0])
        self.knobs = knobs
        self.field = fields.CPU_QUOTA
        self.nesting = LIMIT
        self._quota = self._knob(fields.CPU_QUOTA)
        self._period = self._knob(fields.CPU_PERIOD)
        self._burst = next((k for k in knobs if k.change.field is fields.CPU_BURST), None)

    @property
    def has(self) -> Any:
        quota, period = self._quota.now, self._period.now
        return None if quota is None or period is None else ratio(quota, period)

    @property
    def wants(self) -> Any:
        return ratio(*self._wanted())

    def _knob(self, field: Field) -> Knob:
        for knob in self.knobs:
            if knob.change.field is field:
                return knob
        knob = Knob(self.tree, Change(self.directory, field, "", None))
        with contextlib.suppress(Failed):
            knob.look()
        return knob

    def _wanted(self) -> tuple[int, int]:
        quota, period = (k.now if k.change.value is None else k.change.value for k in (self._quota, self._period))
        return quota if quota > 0 else UNLIMITED, period

    @property
    def _limits_done(self) -> bool:
        return all(k.change.value is None or k.done for k in (self._quota, self._period))

    def _widen(self) -> None:
        self._check_known()
        if not self._limits_done:
            super()._widen()

    def _settle(self) -> None:
        self._check_known()
        burst = self._burst
        if burst is not None and burst.change.value < burst.now:
            burst.write(burst.change.value)
        if not self._limits_done:
            self._check_room(self.wants)
            self._set(self.wants)
        if burst is not None and not burst.done:
            if self._burst_is_early(burst):
                self._judge_limits()
                burst.fail(Failed(Status.WAITS, f"{burst.path}: waits for a quota of {burst.change.value} µs"))
                return
            burst.write(burst.change.value)
        self._judge()

    def _judge_limits(self) -> None:
        for knob in self.knobs:
            if knob is not self._burst:
                knob.judge()

    def _burst_is_early(self, burst: Knob) -> bool:
        """Whether the kernel would refuse the burst for the quota that is there. At a resize we hear of the larger limit before the
        runtime has written it.
        """
        quota = self._quota.now
        if quota is None or not 0 < quota < burst.change.value:
            return False
        # Kernels with group identity take more than the quota on v1.
        beyond = self.tree.version == 1 and self.tree.files.exists(os.path.join(os.path.dirname(burst.path), _V1_BVT))
        return not beyond

    def _check_known(self) -> None:
        """Raises Failed when quota or period cannot be read: it takes both to tell what one of them means."""
        if not self._limits_done:
            for knob in (self._quota, self._period):
                if knob.now is None:
                    knob.look()

    def _set(self, value: Any) -> None:
        # Of one wider than before and one exact there is no mixture: the wider of two ratios is one of the two.
        quota, period = self._wanted()
        try:
            if self.tree.version == 2:
                text = f"{'max' if quota < 0 else quota} {period}"
                self.tree.put(self._quota.path, text, fields.CPU_QUOTA)
            else:
                self._set_v1(quota, period)
        finally:
            for knob in (self._quota, self._period):
                with contextlib.suppress(Failed):
                    knob.look()

    def _set_v1(self, quota: int, period: int) -> None:
        """Two files, and each write is held against the parent. Without a quota in between, the period is free."""
        old_quota, old_period = self._quota.now, self._period.now
        if period == old_period:
            self._quota.put(quota)
            return
        try:
            if old_quota > 0:
                self._quota.put(UNLIMITED)
            self._period.put(period)
            if quota > 0:
                self._quota.put(quota)
        except Failed:
            with contextlib.suppress(Failed):
                self._period.put(old_period)
            with contextlib.suppress(Failed):
                self._quota.put(old_quota)
            raise
