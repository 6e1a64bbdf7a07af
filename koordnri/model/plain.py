"""A field's value in JSON."""

from __future__ import annotations

from typing import Any

from koordnri.model.fields import Device, Mount, Part


def plain_value(value: Any) -> Any:
    """Numbers and texts as they are; a mount or a device as a mapping with the keys that `explain` promises; other
    parts of an adjustment by their text."""
    if isinstance(value, Mount):
        return {"source": value.source, "type": value.type, "options": list(value.options)}
    if isinstance(value, Device):
        return {"type": value.type, "major": value.major, "minor": value.minor, "fileMode": value.file_mode}
    return value.text if isinstance(value, Part) else value
