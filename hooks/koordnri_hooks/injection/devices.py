"""Device nodes: `devices.noderesource.dev`, a list of {path, type, major, minor, file_mode, uid, gid}.

Mode, uid and gid of 0 count as not written: the runtime then makes the node with 0666 or the container's own user. The runtime also lets
the container open the device.
"""

from __future__ import annotations

from typing import Any

import msgspec

from koordnri.model import injection
from koordnri.model.fields import DEVICE, INJECTED_DEVICE
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST_DEVICES = 256
TYPES = ("b", "c", "u", "p")
MOST_NUMBER = (1 << 31) - 1
MOST_ID = (1 << 32) - 1


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int = 0
    uid: int = 0
    gid: int = 0


def _give(injecting: Injecting, devices: list[_Device] | None) -> None:
    injecting.at_most(MOST_DEVICES, devices, "devices")
    for i, device in enumerate(devices or ()):
        _check(injecting, device, f"[{i}]")
        injecting.once(f"[{i}].path", device.path, INJECTED_DEVICE, DEVICE)
        node: dict[str, Any] = {"path": device.path, "type": device.type, "major": device.major, "minor": device.minor}
        text = f"{device.type} {device.major}:{device.minor}"
        if device.file_mode:
            node["file_mode"] = {"value": device.file_mode}
            text += f" mode {device.file_mode:04o}"
        for name, id_ in (("uid", device.uid), ("gid", device.gid)):
            if id_:
                node[name] = {"value": id_}
                text += f" {name} {id_}"
        injecting.put(INJECTED_DEVICE, {"linux": {"devices": [node]}}, text, device.path)


def _check(injecting: Injecting, device: _Device, where: str) -> None:
    """Refuse what a runtime fails the container for."""
    if not device.path.startswith("/"):
        raise injecting.wrong(f'{where}.path: expected an absolute path, got "{device.path[:80]}"')
    injecting.one_of(f"{where}.type", device.type, TYPES)
    for name, value, most in (
        ("major", device.major, MOST_NUMBER),
        ("minor", device.minor, MOST_NUMBER),
        ("file_mode", device.file_mode, 0o7777),
        ("uid", device.uid, MOST_ID),
        ("gid", device.gid, MOST_ID),
    ):
        injecting.within(f"{where}.{name}", value, 0, most)


KIND = Kind(injection.DEVICES, (INJECTED_DEVICE,), yaml_of(list[_Device]), _give)
