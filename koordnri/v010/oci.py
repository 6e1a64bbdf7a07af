"""A container's or pod's resources as the OCI runtime specification writes them in JSON."""

from __future__ import annotations

from typing import Any

from koordnri.wire import api_pb2 as api

_CPU = {
    "shares": "shares",
    "quota": "quota",
    "period": "period",
    "realtime_runtime": "realtimeRuntime",
    "realtime_period": "realtimePeriod",
}
_MEMORY = {
    "limit": "limit",
    "reservation": "reservation",
    "swap": "swap",
    "kernel": "kernel",
    "kernel_tcp": "kernelTCP",
    "swappiness": "swappiness",
    "disable_oom_killer": "disableOOMKiller",
    "use_hierarchy": "useHierarchy",
}


def resources(message: api.LinuxResources) -> dict[str, Any]:
    """The resources object. Values that were not asked for are left out; units are the specification's, which are NRI's, too."""
    cpu = _asked(message.cpu, _CPU)
    cpu |= {name: text for name in ("cpus", "mems") if (text := getattr(message.cpu, name))}
    found = {
        "devices": [_device(device) for device in message.devices],
        "memory": _asked(message.memory, _MEMORY),
        "cpu": cpu,
        "pids": {"limit": message.pids.limit} if message.HasField("pids") else {},
        "hugepageLimits": [{"pageSize": h.page_size, "limit": h.limit} for h in message.hugepage_limits],
        "unified": dict(message.unified),
    }
    return {name: value for name, value in found.items() if value}


def _asked(message: Any, names: dict[str, str]) -> dict[str, Any]:
    return {json: getattr(message, field).value for field, json in names.items() if message.HasField(field)}


def _device(rule: api.LinuxDeviceCgroup) -> dict[str, Any]:
    found: dict[str, Any] = {"allow": rule.allow}
    if rule.type:
        found["type"] = rule.type
    for name in ("major", "minor"):
        if rule.HasField(name):
            found[name] = getattr(rule, name).value
    if rule.access:
        found["access"] = rule.access
    return found
