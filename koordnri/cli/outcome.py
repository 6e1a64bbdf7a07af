"""What a container really got: read from the state of the embedded runtime, never from the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from koordnri.model import UNLIMITED, Device, Field, Mount, NodeState, Setting, fields
from koordnri.model.plain import plain_value
from koordnri.wire import api_pb2 as api


def _optional(group: str, name: str) -> Callable[[api.Container], Any]:
    def read(spec: api.Container) -> Any:
        message = getattr(spec.linux.resources, group)
        return getattr(message, name).value if message.HasField(name) else None

    return read


_PLAIN: dict[Field, Callable[[api.Container], Any]] = {
    fields.CPU_CPUS: lambda spec: spec.linux.resources.cpu.cpus or None,
    fields.CPU_MEMS: lambda spec: spec.linux.resources.cpu.mems or None,
    fields.CPU_QUOTA: _optional("cpu", "quota"),
    fields.CPU_PERIOD: _optional("cpu", "period"),
    fields.CPU_SHARES: _optional("cpu", "shares"),
    fields.MEMORY_LIMIT: _optional("memory", "limit"),
    fields.BLOCKIO_CLASS: lambda spec: spec.linux.resources.blockio_class.value or None,
    fields.RDT_CLOSID: lambda spec: spec.linux.rdt.clos_id.value or None,
    fields.OOM_SCORE_ADJ: lambda spec: spec.linux.oom_score_adj.value if spec.linux.HasField("oom_score_adj") else None,
}


def value_in(spec: api.Container, setting: Setting, node: NodeState) -> Any:
    """The value of the setting's field in the container's spec, in the field's unit; None when it is not set there."""
    field, key = setting.field, setting.key
    plain = _PLAIN.get(field)
    if plain is not None:
        return plain(spec)
    if field.adjust == "unified":
        return _unified(spec, setting, node)
    if field is fields.ENV:
        return _env(spec).get(key)
    if field is fields.MOUNT:
        return next((_mount(m) for m in spec.mounts if m.destination == key), None)
    if field is fields.DEVICE:
        return next((_device(d) for d in spec.linux.devices if d.path == key), None)
    if field is fields.CDI:
        prefix = f"{key}="
        return ",".join(d.name.removeprefix(prefix) for d in spec.CDI_devices if d.name.startswith(prefix)) or None
    return None


def result_of(spec: api.Container) -> dict[str, Any]:
    """The container's resources (by field), unified values, environment, mounts, devices and annotations."""
    resources = {field.name: read(spec) for field, read in _PLAIN.items()}
    return {
        "resources": {name: value for name, value in resources.items() if value is not None},
        "unified": dict(sorted(spec.linux.resources.unified.items())),
        "env": _env(spec),
        "mounts": {m.destination: plain_value(_mount(m)) for m in spec.mounts},
        "devices": {d.path: plain_value(_device(d)) for d in spec.linux.devices},
        "annotations": dict(sorted(spec.annotations.items())),
    }


def _unified(spec: api.Container, setting: Setting, node: NodeState) -> Any:
    field = setting.field
    text = spec.linux.resources.unified.get(field.file(node.cgroup_version, node.cgroup_files))
    if text is None:
        return None
    if field.keyed:
        # One device per line; its number, or on a node that is only described its path.
        device, _, text = text.partition(" ")
        if device != node.unified_text(setting).partition(" ")[0]:
            return None
    if text == "max":
        return UNLIMITED
    return int(text) if text.isdecimal() else text


def _env(spec: api.Container) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in spec.env)


def _mount(mount: api.Mount) -> Mount:
    return Mount(mount.source, mount.type, tuple(mount.options))


def _device(device: api.LinuxDevice) -> Device:
    return Device(device.type, device.major, device.minor, device.file_mode.value)
