"""One step of a change: one field of one cgroup, or several that the kernel checks together.

First steps narrow where siblings share what their parent has: those that will have less make room for those that will have more. Then they
widen (to what covers the present and the wanted value), later they settle (on the exact value). They respect steps that got stuck: a child
is not set beyond a parent that could not grow, nor a parent below a child that could not shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.nesting import LIMIT, PROTECTION, nesting
from koordnri.host.cgroup.value import FileValue, WriteFailed, failed_by
from koordnri.model import UNLIMITED


class Step:
    """One field by itself."""

    def __init__(self, file_value: FileValue) -> None:
        self.tree = file_value.tree
        self.file_values = [file_value]
        self.directory = file_value.change.directory
        self.field = file_value.change.field
        self.nesting = nesting(self.field, self.tree.version)
        self._stuck: list[Step] = []

    @property
    def has(self) -> Any:
        """The present value, as the nesting compares it; None if it could not be read."""
        return self.file_values[0].now

    @property
    def wants(self) -> Any:
        """The wanted value, as the nesting compares it."""
        value = self.file_values[0].change.value
        # 0 means no limit too, as everywhere in the model.
        return UNLIMITED if self.nesting is LIMIT and value <= 0 else value

    def narrow(self, stuck: list[Step]) -> None:
        """Before the first pass: release what siblings may get. Only for fields that siblings share."""
        self._attempt(self._narrow, stuck)

    def widen(self, stuck: list[Step]) -> None:
        """First pass: make room if the value will grow."""
        self._attempt(self._widen, stuck)

    def settle(self, stuck: list[Step]) -> None:
        """Second pass: the exact value, and the outcome."""
        if all(file_value.now is not None for file_value in self.file_values):
            self._attempt(self._settle, stuck)
        for file_value in self.file_values:
            file_value.conclude()

    def _attempt(self, act: Callable[[], None], stuck: list[Step]) -> None:
        self._stuck = stuck
        try:
            act()
        except Exception as error:  # noqa: BLE001  # a bug in one step must not cost the others
            failed = failed_by(error)
            for file_value in self.file_values:
                try:
                    file_value.scan()
                except Exception as now:  # noqa: BLE001  # the cgroup may be gone by now, whatever the error was before
                    file_value.fail(failed_by(now))
                    continue
                if file_value.done:
                    file_value.judge()
                else:
                    file_value.fail(failed)
            if self.has is not None:
                stuck.append(self)

    def _narrow(self) -> None:
        if self.nesting is PROTECTION and self.has is not None and not PROTECTION.covers(self.wants, self.has):
            self._settle()

    def _widen(self) -> None:
        if self.nesting is None or self.has is None:  # None: the cgroup vanished after narrowing
            return
        if not self.nesting.covers(self.has, self.wants):
            room = self.nesting.join(self.has, self.wants)
            self._check_room(room)
            self._set(room)

    def _settle(self) -> None:
        file_value = self.file_values[0]
        if not file_value.is_set:
            self._check_room(self.wants)
            self._set(self.wants)
        elif not file_value.done:
            file_value.scan()  # it was not in effect, but a cgroup above may have been widened since
        self._judge()

    def _set(self, value: Any) -> None:
        self.file_values[0].write(value)

    def _judge(self) -> None:
        for file_value in self.file_values:
            file_value.judge()
        if any(file_value.status is Status.DRIFTED_BACK for file_value in self.file_values):
            self._stuck.append(self)

    def _check_room(self, value: Any) -> None:
        """Raises WriteFailed when the value conflicts with a relative that is stuck. v1 would refuse most such values, v2 none."""
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
                raise WriteFailed(
                    Status.REFUSED,
                    f"{self.file_values[0].path}: {self.field.name} not set to {value}: "
                    f"{other.directory} {where} could not be changed and keeps {other.has}",
                )
