"""Messages as plain values that can be compared."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

_UNORDERED = "namespaces"
"""Go's adaptation collects a container's namespaces in a map, and so in no order."""


def readable(message: Message) -> dict[str, Any]:
    """The fields that are set. An empty message counts as not set, as for whoever reads it, unless it is an optional number or text."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            found[field.name] = list(value) if _is_repeated(field, value) else value
        elif field.message_type.GetOptions().map_entry:
            found[field.name] = {k: readable(v) if isinstance(v, Message) else v for k, v in sorted(value.items())}
        elif isinstance(value, Message):
            if (inner := readable(value)) or field.message_type.name.startswith("Optional"):
                found[field.name] = inner
        else:
            entries = [readable(entry) for entry in value]
            found[field.name] = sorted(entries, key=str) if field.name == _UNORDERED else entries
    return found


def _is_repeated(field: Any, value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__")
