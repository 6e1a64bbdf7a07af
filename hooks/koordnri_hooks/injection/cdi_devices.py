"""CDI devices: `cdi-devices.noderesource.dev`, a list of names such as `vendor.com/class=name`.

The runtime refuses a container with a device that none of its CDI specifications describes.
"""

from __future__ import annotations

import re

from koordnri.model import injection
from koordnri.model.fields import CDI, INJECTED_CDI
from koordnri_hooks.injection.kind import Injecting, Kind, yaml_of

MOST_DEVICES = 256
_NAME = re.compile(
    r"[A-Za-z]([\w.-]*[A-Za-z0-9])?/[A-Za-z]([\w-]*[A-Za-z0-9])?=[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?", re.ASCII
)


def _give(injecting: Injecting, names: list[str] | None) -> None:
    injecting.at_most(MOST_DEVICES, names, "devices")
    for i, name in enumerate(names or ()):
        if not _NAME.fullmatch(name):
            raise injecting.wrong(f'[{i}]: expected a CDI device such as vendor.com/class=name, got "{name[:80]}"')
        injecting.once(f"[{i}]", name, INJECTED_CDI)
        kind, _, device = name.partition("=")
        by_scheduler = injecting.ctx.value(CDI, kind)
        if by_scheduler is not None and device in by_scheduler.split(","):
            raise injecting.wrong(f'[{i}]: "{name[:80]}" is given by the scheduler already')
        injecting.put(INJECTED_CDI, {"CDI_devices": [{"name": name}]}, name, name)


KIND = Kind(injection.CDI_DEVICES, (INJECTED_CDI,), yaml_of(list[str]), _give)
