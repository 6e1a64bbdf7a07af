"""What was decided: field → value, by whom, why, and by which route; what was left out, and why."""

from __future__ import annotations

from typing import Any, NamedTuple

from koordnri.model.fields import Field


class Setting(NamedTuple):
    """One decided field. `value` is in the field's unit; `key` is "" unless the field is keyed."""

    field: Field
    key: str
    value: Any
    hook: str
    reason: str
    route: str


class HookError(NamedTuple):
    """A hook that could not decide. `fault` is `pod`, `policy`, `node`, `bug` or `late` (the chain's budget was used up)."""

    hook: str
    message: str
    fault: str


_NONE: frozenset[Field] = frozenset()


class Decision:
    """Filled by the chain, then only read."""

    __slots__ = ("errors", "late", "observed", "settings", "skipped", "undecided")

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        """name of the field (`env[X]` when keyed) → setting"""
        self.observed: dict[str, Setting] = {}
        """the same of hooks that the policy only observes: what would be set, with route `observe`; never applied"""
        self.skipped: dict[str, str] = {}
        """name of the field, or of the hook → reason"""
        self.errors: list[HookError] = []
        self.undecided: frozenset[Field] = _NONE
        """fields of hooks that failed or were not asked: what a container has of them stays as it is"""
        self.late = False
        """the chain's budget was used up before the last hook was done"""

    def value(self, field: Field, key: str = "") -> Any:
        """The decided value, None when the field is left alone."""
        setting = self.settings.get(field.named(key))
        return None if setting is None else setting.value
