"""What was decided: field → value, by whom, why, and by which route; what was left out, and why.

The chain fills a Draft, which is the context that it asks its hooks with, and makes a Decision of it. Nobody changes that any more.
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
    """A hook that could not decide. `fault` is `pod`, `policy`, `node`, `bug` or `late` (the chain's budget was used up)."""

    hook: str
    message: str
    fault: str


NEW = tuple.__new__
"""`NEW(Setting, (…))` makes a NamedTuple without its constructor, which is Python code and takes longer than all else on the event path."""
NO_FIELDS: frozenset[Field] = frozenset()
NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})
_NO_REASONS: Mapping[str, str] = MappingProxyType({})


class Decision(NamedTuple):
    """The chain's answer for one cgroup. Immutable; what differs from it is another Decision."""

    settings: Mapping[str, Setting] = NO_SETTINGS
    """name of the field (`env[X]` when keyed) → setting"""
    observed: Mapping[str, Setting] = NO_SETTINGS
    """the same of hooks that the policy only observes: what would be set, with route `observe`; never applied"""
    skipped: Mapping[str, str] = _NO_REASONS
    """name of the field, or of the hook → reason"""
    errors: tuple[HookError, ...] = ()
    undecided: frozenset[Field] = NO_FIELDS
    """fields of hooks that failed or were not asked: what a container has of them stays as it is"""
    late: bool = False
    """the chain's budget was used up before the last hook was done"""

    def value(self, field: Field, key: str = "") -> Any:
        """The decided value, None when the field is left alone."""
        setting = self.settings.get(field.named(key))
        return None if setting is None else setting.value

    def with_settings(self, changed: Mapping[str, Setting]) -> Decision:
        """The same but for these settings."""
        return self._replace(settings=MappingProxyType({**self.settings, **changed}))

    def with_errors(self, *errors: HookError) -> Decision:
        """The same, with these errors besides."""
        return self._replace(errors=(*self.errors, *errors))


class Draft:
    """A decision in the making; each attribute becomes that of Decision. Filled by one thread, and read by another that answers early."""

    __slots__ = ("errors", "observed", "settings", "skipped", "undecided")

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.observed = NO_SETTINGS
        self.skipped: dict[str, str] = {}
        self.errors: tuple[HookError, ...] = ()
        self.undecided = NO_FIELDS

    def value(self, field: Field, key: str = "") -> Any:
        """The value decided so far, None when no hook has set the field yet."""
        setting = self.settings.get(field.named(key))
        return None if setting is None else setting.value

    def made(self, late: bool = False) -> Decision:
        """The decision. The draft is not to be filled further."""
        settings, skipped = MappingProxyType(self.settings), MappingProxyType(self.skipped)
        return NEW(Decision, (settings, self.observed, skipped, self.errors, self.undecided, late))
