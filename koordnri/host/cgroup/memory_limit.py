"""Steps for memory.limit and memory.high: neither goes below the memory in use."""

from __future__ import annotations

import contextlib
import os

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.nesting import LIMIT
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.value import FileValue, WriteFailed
from koordnri.model import fields

_SWAP_LIMIT = "memory.memsw.limit_in_bytes"


class MemoryLimit(Step):
    """memory.limit and memory.high. Neither goes below the memory in use, unless forced.

    memory.high goes as low as it safely can, and its outcome stays `refused` until it has its value; each attempt brings it nearer.
    """

    def __init__(self, file_value: FileValue, in_use: InUse) -> None:
        super().__init__(file_value)
        self._in_use = in_use

    def _settle(self) -> None:
        if (
            not self.file_values[0].done
            and not self.file_values[0].change.force
            and not LIMIT.covers(self.wants, self.has)
        ):
            self._shrink()
        super()._settle()

    def _shrink(self) -> None:
        """Raises WriteFailed when it cannot have the wanted value yet."""
        file_value = self.file_values[0]
        least = self._in_use.least_for(self.field, self.directory)
        if least is not None and least > self.wants:
            self._in_use.reclaim(self.directory, least - self.wants)
            least = self._in_use.least_for(self.field, self.directory)
        if least is None or least <= self.wants:
            return
        error = f"{file_value.path}: {self.field.name} not set to {self.wants}: {least} bytes are in use"
        if self.field is fields.MEMORY_HIGH:
            error += ", with a margin"
            if not LIMIT.covers(least, self.has):
                self._check_room(least)
                self._set(least)
                error += f"; set to {file_value.now} for now"
        raise WriteFailed(Status.REFUSED, f"{error}; wait until it uses less, or force it")


class V1MemoryLimit(MemoryLimit):
    """memory.limit on v1. The kernel refuses (EINVAL) a limit above that of memory and swap together.

    The runtime sets both to the same value, which means no swap. They stay equal. A larger swap limit is left alone.
    """

    def _set(self, value: int) -> None:
        file_value = self.file_values[0]
        path = os.path.join(os.path.dirname(file_value.path), _SWAP_LIMIT)
        old, both = file_value.now, None
        # The file is missing if the kernel does not account swap.
        with contextlib.suppress(WriteFailed, ValueError):
            both = None if file_value.form is None else file_value.form.parse(self.tree.text(path), "")
        if both is not None and not LIMIT.covers(both, value):
            self.tree.put(path, file_value.spell(value), self.field)
        file_value.write(value)
        if both is not None and both == old and not LIMIT.covers(value, both):
            self.tree.put(path, file_value.spell(value), self.field)
