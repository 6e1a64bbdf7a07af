"""Steps for limits that do not go below the memory in use: memory.limit and memory.high."""

from __future__ import annotations

import contextlib
import os

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.nesting import LIMIT
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import FileValue, WriteFailed


class MemoryLimit(Step):
    """A limit below which the kernel kills. It does not go below the memory in use, unless forced.

    On v1 the kernel refuses (EINVAL) a limit above that of memory and swap together, the column `v1_ceiling`. The runtime sets both to the
    same value, which means no swap. They stay equal. A larger swap limit is left alone.
    """

    def __init__(self, file_value: FileValue, in_use: InUse) -> None:
        super().__init__(file_value)
        self._in_use = in_use

    def _settle(self) -> None:
        file_value = self.file_values[0]
        if not file_value.done and not file_value.change.force and not LIMIT.covers(self.wants, self.has):
            self._shrink()
        super()._settle()

    def _shrink(self) -> None:
        """Raises WriteFailed when it cannot have the wanted value yet."""
        least = self._least_bytes()
        if least is not None and least > self.wants:
            self._in_use.reclaim(self.directory, least - self.wants)
            least = self._least_bytes()
        if least is None or least <= self.wants:
            return
        note = self._approach(least)
        path = self.file_values[0].path
        error = f"{path}: {self.field.name} not set to {self.wants}: {least} bytes are in use{note}"
        raise WriteFailed(Status.REFUSED, f"{error}; wait until it uses less, or force it")

    def _least_bytes(self) -> int | None:
        return self._in_use.least_bytes(self.directory, margin=False)

    def _approach(self, least: int) -> str:
        """Called when the wanted value is below `least`. Returns what to add to the error."""
        return ""

    def _set(self, value: int) -> None:
        if self.tree.version == 1 and self.field.v1_ceiling:
            self._set_below_ceiling(value, self.field.v1_ceiling)
        else:
            super()._set(value)

    def _set_below_ceiling(self, value: int, ceiling: str) -> None:
        file_value = self.file_values[0]
        path = os.path.join(os.path.dirname(file_value.path), ceiling)
        old, both = file_value.now, None
        # The file is missing if the kernel does not account swap.
        with contextlib.suppress(WriteFailed, ValueError):
            both = None if file_value.form is None else file_value.form.parse(self.tree.text(path), "")
        if both is not None and not LIMIT.covers(both, value):
            self.tree.put(path, file_value.spell(value), self.field)
        file_value.write(value)
        if both is not None and both == old and not LIMIT.covers(value, both):
            self.tree.put(path, file_value.spell(value), self.field)


class ThrottlingLimit(MemoryLimit):
    """A limit above which the kernel throttles. It goes as low as it safely can, and its outcome stays `refused` until it has its value;
    each attempt brings it nearer.
    """

    def _least_bytes(self) -> int | None:
        return self._in_use.least_bytes(self.directory, margin=True)

    def _approach(self, least: int) -> str:
        if LIMIT.covers(least, self.has):
            return ", with a margin"
        self._check_room(least)
        self._set(least)
        return f", with a margin; set to {self.file_values[0].now} for now"
