"""The column `place` of the field table, as code: where NRI's LinuxResources carries a field."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from google.protobuf.message import Message

from koordnri.model.field import Field, FieldTableError
from koordnri.model.fields import ALL


class MessagePlace(NamedTuple):
    """`setattr(holder(resources), attribute, value)` sets it, `getattr` reads it."""

    holder: Callable[[Any], Any]
    """LinuxResources → the message that has the attribute"""
    attribute: str


def place_of(field: Field, resources: type[Message]) -> MessagePlace:
    """Where `resources` (LinuxResources of NRI, or the view of it) carries a field.

    Raises FieldTableError for a field whose place that message does not have.
    """
    message: Any = resources.DESCRIPTOR
    for name in field.place.split("."):
        if message is None or name not in message.fields_by_name:
            where = resources.DESCRIPTOR.full_name
            raise FieldTableError(f"field {field.name}: place={field.place!r} is not in {where}: it has no {name!r}")
        message = message.fields_by_name[name].message_type
    path, _, attribute = field.place.rpartition(".")
    return MessagePlace(attrgetter(path), attribute)


def places_in(resources: type[Message]) -> dict[Field, MessagePlace]:
    """Where `resources` carries each field that has a place. Raises FieldTableError as above."""
    return {field: place_of(field, resources) for field in ALL if field.place}


def value_at(resources: Message, field: Field) -> Any:
    """What LinuxResources carries of a field; None when it is not set. Slow, for people."""
    message: Any = resources
    for name in field.place.split("."):
        if message.DESCRIPTOR.fields_by_name[name].has_presence and not message.HasField(name):
            return None
        message = getattr(message, name)
    return None if message == "" else message
