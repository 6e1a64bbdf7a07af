"""The step of CPU bandwidth: quota, period and burst, which the kernel ties together."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.nesting import LIMIT, ratio
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import Failed, Knob, Tree
from koordnri.model import UNLIMITED, Field, fields

BANDWIDTH = (fields.CPU_QUOTA, fields.CPU_PERIOD, fields.CPU_BURST)
_V1_BVT = "cpu.bvt_warp_ns"


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
