"""The step for CPU bandwidth: quota, period and burst, which the kernel checks together."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.larger_below import larger_below
from koordnri.host.cgroup.nesting import LIMIT, ratio
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import FileValue, Tree, WriteFailed
from koordnri.model import UNLIMITED, Field, fields

_V1_BVT = "cpu.bvt_warp_ns"


class BandwidthStep(Step):
    """Quota, period and burst. The kernel compares quota / period with the parent's, and refuses a burst above the quota.

    A field without a change keeps its value. On v2 quota and period are one write.
    """

    def __init__(self, tree: Tree, file_values: list[FileValue]) -> None:
        super().__init__(file_values[0])
        self.file_values = file_values
        self.field = fields.CPU_QUOTA
        self.nesting = LIMIT
        self._quota = self._file_value(fields.CPU_QUOTA)
        self._period = self._file_value(fields.CPU_PERIOD)
        for file_value in (self._quota, self._period):
            if file_value not in file_values:
                self._scan(file_value)
        self._burst = next((k for k in file_values if k.change.field is fields.CPU_BURST), None)

    @property
    def has(self) -> Any:
        quota, period = self._quota.now, self._period.now
        return None if quota is None or period is None else ratio(quota, period)

    @property
    def wants(self) -> Any:
        return ratio(*self._wanted())

    def _file_value(self, field: Field) -> FileValue:
        for file_value in self.file_values:
            if file_value.change.field is field:
                return file_value
        return FileValue(self.tree, Change(self.directory, field, "", None))

    def _scan(self, file_value: FileValue) -> None:
        """Read the quota or, after it, the period. On v2 they stand in one file, which is read once."""
        try:
            if file_value is self._period and self.tree.version == 2 and self._quota.now is not None:
                file_value.scan_beside(self._quota)
            else:
                file_value.scan()
        except WriteFailed:  # contextlib.suppress makes an object and three calls, 2000 times in a pass
            pass

    def _wanted(self) -> tuple[int, int]:
        quota, period = (k.now if k.change.value is None else k.change.value for k in (self._quota, self._period))
        return quota if quota > 0 else UNLIMITED, period

    @property
    def _limits_done(self) -> bool:
        quota, period = self._quota, self._period
        return (quota.change.value is None or quota.done) and (period.change.value is None or period.done)

    def _widen(self) -> None:
        if self._lack_limits():
            super()._widen()

    def _settle(self) -> None:
        lacks, burst = self._lack_limits(), self._burst
        if burst is not None and burst.change.value < burst.now:
            burst.write(burst.change.value)
        if lacks:
            wants = self.wants
            self._check_room(wants)
            self._set(wants)
        if burst is not None and not burst.done:
            if self._burst_is_early(burst):
                self._judge_limits()
                burst.fail(WriteFailed(Status.WAITS, f"{burst.path}: waits for a quota of {burst.change.value} µs"))
                return
            burst.write(burst.change.value)
        self._judge()

    def _judge_limits(self) -> None:
        for file_value in self.file_values:
            if file_value is not self._burst:
                file_value.judge()

    def _burst_is_early(self, burst: FileValue) -> bool:
        """Whether the kernel would refuse the burst at the present quota. At a resize we learn the larger limit before the runtime
        writes it.
        """
        quota = self._quota.now
        if quota is None or not 0 < quota < burst.change.value:
            return False
        # Kernels with group identity accept more than the quota on v1.
        beyond = self.tree.version == 1 and self.tree.files.exists(os.path.join(os.path.dirname(burst.path), _V1_BVT))
        return not beyond

    def _lack_limits(self) -> bool:
        """Whether quota or period must be written. Raises WriteFailed if one cannot be read: one without the other means nothing."""
        if self._limits_done:
            return False
        unknown = [file_value for file_value in (self._quota, self._period) if file_value.now is None]
        for file_value in unknown:
            file_value.scan()
        return not unknown or not self._limits_done

    def _set(self, value: Any) -> None:
        # The value is either the present or the wanted pair, never a mixture of both.
        quota, period = self._wanted()
        try:
            if self.tree.version == 2:
                text = f"{'max' if quota < 0 else quota} {period}"
                self.tree.put(self._quota.path, text, fields.CPU_QUOTA)
            else:
                self._set_v1(quota, period)
        finally:
            self._scan(self._quota)
            self._scan(self._period)

    def _set_v1(self, quota: int, period: int) -> None:
        """Two files, and the kernel checks each write against the parent. While there is no quota, the period may change freely."""
        old_quota, old_period = self._quota.now, self._period.now
        if period == old_period:
            self._put_quota(quota, period)
            return
        try:
            if old_quota > 0:
                self._quota.put(UNLIMITED)
            self._period.put(period)
            if quota > 0:
                self._put_quota(quota, period)
        except WriteFailed:
            with contextlib.suppress(WriteFailed):
                self._period.put(old_period)
            with contextlib.suppress(WriteFailed):
                self._quota.put(old_quota)
            raise

    def _put_quota(self, quota: int, period: int) -> None:
        try:
            self._quota.put(quota)
        except WriteFailed as failed:
            home, cpus = os.path.dirname(self._quota.path), ratio(quota, period)
            below = larger_below(self.tree.files, home, cpus) if cpus > 0 and failed.status is Status.REFUSED else ""
            if not below:
                raise
            raise WriteFailed(failed.status, f"{failed.error}; {below}") from None
