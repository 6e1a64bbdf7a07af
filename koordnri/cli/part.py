"""Whether a container has a part of an adjustment, in the embedded runtime's state."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from koordnri.model.fields import Part
from koordnri.wire import api_pb2 as api


def has_part(spec: api.Container, part: Part) -> bool:
    """Whether all that the part sets is in the container. NRI's Container has the names of ContainerAdjustment, except the memory policy,
    which a container does not show: that is not looked for.
    """
    return _within(api.ContainerAdjustment(**part.content), spec)


def _within(part: Message, whole: Message) -> bool:
    names = whole.DESCRIPTOR.fields_by_name
    return all(field.name not in names or _has(getattr(whole, field.name), value) for field, value in part.ListFields())


def _has(whole: Any, part: Any) -> bool:
    if isinstance(part, Message):
        return _within(part, whole)
    if hasattr(part, "items"):
        return all(key in whole and _has(whole[key], value) for key, value in part.items())
    if isinstance(part, str | bytes | int | float):
        return bool(whole == part)
    return all(
        any(_has(has, wanted) if type(has) is type(wanted) else has == _env(wanted) for has in whole) for wanted in part
    )


def _env(entry: Any) -> str:
    """A variable as a container has it."""
    return f"{entry.key}={entry.value}"
