"""A decision: field → value, hook, reason and route; and skipped fields, with the reason.

The chain fills a Draft, which is also the hooks' context, and makes a Decision of it, which is immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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
    """A hook that could not decide. `fault`: `pod`, `policy`, `node`, `bug` or `late` (the chain's budget was used up)."""

    hook: str
    message: str
    fault: str


NEW = tuple.__new__
"""`NEW(Setting, (…))` makes a NamedTuple without its constructor, whose Python code would take longest on the event path."""
NO_FIELDS: frozenset[Field] = frozenset()
NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})
_NO_REASONS: Mapping[str, str] = MappingProxyType({})


class Decision(NamedTuple):
    """The chain's answer for one cgroup. Immutable: a changed one is another Decision."""

    settings: Mapping[str, Setting] = NO_SETTINGS
    """field name (`env[X]` when keyed) → setting"""
    observed: Mapping[str, Setting] = NO_SETTINGS
    """settings of hooks that the policy only observes, with route `observe`; never applied"""
    skipped: Mapping[str, str] = _NO_REASONS
    """name of the field or hook → reason"""
    errors: tuple[HookError, ...] = ()
    undecided: frozenset[Field] = NO_FIELDS
    """fields of hooks that failed or were not asked: their values in the container stay as they are"""
    late: bool = False
    """whether the chain's budget was used up before the last hook was done"""
    controlled: Mapping[str, Setting] = NO_SETTINGS
    """settings of feedback controllers, with route `control`. Cgroup files get these instead of `settings`; the runtime never does"""

    @property
    def in_files(self) -> Mapping[str, Setting]:
        """What cgroup files should have: `settings`, and `controlled` in their place."""
        return {**self.settings, **self.controlled} if self.controlled else self.settings

    def decides(self, name: str) -> bool:
        """Whether the field of this name has a value, be it a controller's."""
        return name in self.settings or name in self.controlled

    def value(self, field: Field, key: str = "") -> Any:
        """The decided value, without controllers; None when the field is left alone."""
        setting = self.settings.get(field.named(key))
        return None if setting is None else setting.value

    def with_settings(self, changed: Mapping[str, Setting]) -> Decision:
        """The same decision with these settings instead."""
        return self._replace(settings=MappingProxyType({**self.settings, **changed}))

    def with_errors(self, *errors: HookError) -> Decision:
        """The same decision with further errors."""
        return self._replace(errors=(*self.errors, *errors))


class Draft:
    """A decision in the making; its attributes become those of Decision. One thread fills it; another may read it to answer early."""

    __slots__ = ("controlled", "errors", "observed", "settings", "skipped", "undecided")

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.observed = NO_SETTINGS
        self.controlled: Mapping[str, Setting] = NO_SETTINGS
        self.skipped: dict[str, str] = {}
        self.errors: tuple[HookError, ...] = ()
        self.undecided = NO_FIELDS

    def value(self, field: Field, key: str = "") -> Any:
        """The value decided so far; None when no hook has set the field yet."""
        setting = self.settings.get(field.named(key))
        return None if setting is None else setting.value

    def made(self, late: bool = False) -> Decision:
        """The decision. Do not fill the draft any further."""
        settings, skipped = MappingProxyType(self.settings), MappingProxyType(self.skipped)
        return NEW(Decision, (settings, self.observed, skipped, self.errors, self.undecided, late, self.controlled))
