"""Network devices: `network-devices.noderesource.dev`, a list of {hostIf, name}.

The runtime moves the host's device into the container's network namespace, under its new name if there is one. It refuses a container for
a device that the host does not have.
"""

from __future__ import annotations

import re

import msgspec

from koordnri.model import injection
from koordnri.model.fields import NET_DEVICE
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST_DEVICES = 64
_NAME = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
"""as dev_valid_name() of the kernel has it"""


class _NetDevice(msgspec.Struct, forbid_unknown_fields=True):
    host_if: str = msgspec.field(default="", name="hostIf")
    name: str = ""


def _give(injecting: Injecting, devices: list[_NetDevice] | None) -> None:
    injecting.at_most(MOST_DEVICES, devices, "devices")
    for i, device in enumerate(devices or ()):
        for key, name in (("hostIf", device.host_if), ("name", device.name or device.host_if)):
            if not _NAME.fullmatch(name):
                raise injecting.wrong(f'[{i}].{key}: expected the name of a network device, got "{name[:80]}"')
        injecting.once(f"[{i}].hostIf", device.host_if, NET_DEVICE)
        content = {device.host_if: {"name": device.name}}
        injecting.put(NET_DEVICE, {"linux": {"net_devices": content}}, device.name or device.host_if, device.host_if)


KIND = Kind(injection.NETWORK_DEVICES, (NET_DEVICE,), yaml_of(list[_NetDevice]), _give)
