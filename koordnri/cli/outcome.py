"""What a container really got, read from the embedded runtime's state, never from the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from koordnri.cli.part import has_part
from koordnri.model import UNLIMITED, Device, Field, Mount, NodeState, Setting, fields
from koordnri.model.field import Adjust, FieldTableError
from koordnri.model.plain import plain_value
from koordnri.session.place import value_at
from koordnri.wire import api_pb2 as api


def _cdi(spec: api.Container, kind: str) -> str | None:
    prefix = f"{kind}="
    return ",".join(d.name.removeprefix(prefix) for d in spec.CDI_devices if d.name.startswith(prefix)) or None


_BY_PART: dict[Adjust, Callable[[api.Container, str], Any]] = {
    Adjust.ENV: lambda spec, key: _env(spec).get(key),
    Adjust.MOUNT: lambda spec, key: next((_mount(m) for m in spec.mounts if m.destination == key), None),
    Adjust.DEVICE: lambda spec, key: next((_device(d) for d in spec.linux.devices if d.path == key), None),
    Adjust.CDI: _cdi,
    Adjust.RDT: lambda spec, key: spec.linux.rdt.clos_id.value or None,
    Adjust.OOM: lambda spec, key: spec.linux.oom_score_adj.value if spec.linux.HasField("oom_score_adj") else None,
}
"""Column `adjust` → (spec, key) → value, of what is beside the resources"""
if missing := set(Adjust) - _BY_PART.keys() - {Adjust.RESOURCES, Adjust.UNIFIED, Adjust.FILE, Adjust.PART}:
    raise FieldTableError(f"koordnri.cli.outcome reads nothing of {missing}")
_SINGLE = [f for f in fields.ALL if not f.keyed and f.adjust not in (Adjust.UNIFIED, Adjust.FILE)]


def value_in(spec: api.Container, setting: Setting, node: NodeState) -> Any:
    """The value of the setting's field in the container's spec, in the field's unit; None when it is not set there."""
    if setting.field.adjust is Adjust.UNIFIED:
        return _unified(spec, setting, node)
    if setting.field.adjust is Adjust.PART:
        return setting.value if has_part(spec, setting.value) else None
    return _value(spec, setting.field, setting.key)


def _value(spec: api.Container, field: Field, key: str = "") -> Any:
    if field.place:
        return value_at(spec.linux.resources, field)
    read = _BY_PART.get(field.adjust)
    return None if read is None else read(spec, key)


def result_of(spec: api.Container) -> dict[str, Any]:
    """The container's resources (by field), unified values, environment, mounts, devices and annotations."""
    resources = {field.name: _value(spec, field) for field in _SINGLE}
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
    text = spec.linux.resources.unified.get(node.field_files[field])
    if text is None:
        return None
    if field.keyed:
        # One device per line: its number, or on a described node its path.
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
