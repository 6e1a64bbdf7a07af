"""I/O priority of a container's processes: `io-priority.noderesource.dev`, {class, priority}, as in ioprio_set(2)."""

from __future__ import annotations

import msgspec

from koordnri.model import injection
from koordnri.model.fields import IO_PRIORITY
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

CLASSES = ("IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE")
MOST_PRIORITY = 7


class _IOPriority(msgspec.Struct, forbid_unknown_fields=True):
    class_: str = msgspec.field(default="", name="class")
    priority: int = 0


def _give(injecting: Injecting, wanted: _IOPriority | None) -> None:
    if wanted is None:
        return
    name = injecting.one_of("class", wanted.class_, CLASSES)
    injecting.within("priority", wanted.priority, 0, MOST_PRIORITY)
    content = {"class": name, "priority": wanted.priority}
    injecting.put(IO_PRIORITY, {"linux": {"io_priority": content}}, f"{name} {wanted.priority}")


KIND = Kind(injection.IO_PRIORITY, (IO_PRIORITY,), yaml_of(_IOPriority), _give)
