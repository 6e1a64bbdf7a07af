"""Mounts: `mounts.noderesource.dev`, a list of {source, destination, type, options}.

The source is a path of the host. One that does not exist keeps the container from starting, as with any bind mount. A mount that the
container has at the same destination is replaced.
"""

from __future__ import annotations

import msgspec

from koordnri.model import injection
from koordnri.model.fields import INJECTED_MOUNT, MOUNT
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST_MOUNTS = 256


class _Mount(msgspec.Struct, forbid_unknown_fields=True):
    source: str = ""
    destination: str = ""
    type: str = ""
    options: list[str] = []


def _give(injecting: Injecting, mounts: list[_Mount] | None) -> None:
    injecting.at_most(MOST_MOUNTS, mounts, "mounts")
    for i, mount in enumerate(mounts or ()):
        if not mount.destination.startswith("/"):
            raise injecting.wrong(f'[{i}].destination: expected an absolute path, got "{mount.destination[:80]}"')
        if not mount.source:
            raise injecting.wrong(f"[{i}].source: expected what is mounted, it is empty")
        injecting.once(f"[{i}].destination", mount.destination, INJECTED_MOUNT, MOUNT)
        content = {
            "source": mount.source,
            "destination": mount.destination,
            "type": mount.type,
            "options": mount.options,
        }
        text = " ".join(filter(None, (mount.type, mount.source, ",".join(mount.options))))
        injecting.put(INJECTED_MOUNT, {"mounts": [content]}, text, mount.destination)


KIND = Kind(injection.MOUNTS, (INJECTED_MOUNT,), yaml_of(list[_Mount]), _give)
