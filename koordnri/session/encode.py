"""Turns decisions into NRI messages. The field table says which message carries a field; this module, how it is written there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from koordnri.model import UNLIMITED, NodeState, fields
from koordnri.model.decision import Decision, HookError, Setting
from koordnri.model.field import Adjust, FieldTableError
from koordnri.model.fields import ALL
from koordnri.model.routes import RESCTRL, WRITE
from koordnri.reconcile.plan import Update
from koordnri.session.place import places_in
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Feature, Version, has

Resources = api.LinuxResources
Adjustment = api.ContainerAdjustment


_PLACES = places_in(Resources)
_NOT_SENT = frozenset({WRITE, RESCTRL})
# An enum's member is slow to look up in its class.
_UNIFIED, _MEMORY_LIMIT = Adjust.UNIFIED, fields.MEMORY_LIMIT


def put_resources(resources: Resources, settings: Iterable[Setting], node: NodeState, period_us: int = 0) -> None:
    """Write the settings that LinuxResources carries; others are skipped.

    period_us   of the container; sent with a quota of -1, which crun ignores otherwise. 0: the runtime adds it, or kubelet sends one
    """
    for setting in settings:
        if setting.route != WRITE:
            _put(resources, setting, node)
    if period_us and resources.cpu.quota.value < 0 and not resources.cpu.HasField("period"):
        resources.cpu.period.value = period_us


def _put(resources: Resources, setting: Setting, node: NodeState) -> bool:
    """Write a setting that LinuxResources carries; False for one that it does not."""
    field, _, value, _, _, _ = setting
    place = _PLACES.get(field)
    if place is not None:
        if field is _MEMORY_LIMIT and field.same(value, UNLIMITED):
            value = node.no_limit_bytes  # as the runtime takes it
        holder, attribute = place
        setattr(holder(resources), attribute, value)
        return True
    if field.adjust is _UNIFIED:
        resources.unified[node.field_files[field]] = node.unified_text(setting)
        return True
    return False


def encode_update(update: Update, node: NodeState) -> api.ContainerUpdate:
    """An update of a container other than the event's. Its failure must not fail the event that carries it, nor a registration
    (CRI-O with NRI <= 0.11 would leave us a zombie).
    """
    message = api.ContainerUpdate(container_id=update.container_id, ignore_failure=True)
    put_resources(message.linux.resources, update.settings, node, update.period_us)
    return message


def _put_env(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    variable = adjust.env.add()  # without arguments, which cost as much again
    variable.key, variable.value = setting.key, setting.value


def _put_mount(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    mount = setting.value
    adjust.mounts.add(destination=setting.key, source=mount.source, type=mount.type, options=mount.options)


def _put_device(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    node = setting.value
    device = adjust.linux.devices.add(path=setting.key, type=node.type, major=node.major, minor=node.minor)
    device.file_mode.value = node.file_mode


def _put_cdi(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    # The key is the CDI kind. A repeated name is a conflict, which fails the container.
    for name in dict.fromkeys(setting.value.split(",")):
        adjust.CDI_devices.add(name=f"{setting.key}={name}")


def _put_closid(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    if has(nri_version, Feature.RDT):
        adjust.linux.rdt.clos_id.value = setting.value
    else:
        adjust.linux.resources.rdt_class.value = setting.value


def _put_oom_score(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    adjust.linux.oom_score_adj.value = setting.value


def _put_part(adjust: Adjustment, setting: Setting, nri_version: Version) -> None:
    adjust.MergeFrom(Adjustment(**setting.value.content))


_BY_PART: Mapping[Adjust, Callable[[Adjustment, Setting, Version], None]] = {
    Adjust.ENV: _put_env,
    Adjust.MOUNT: _put_mount,
    Adjust.DEVICE: _put_device,
    Adjust.CDI: _put_cdi,
    Adjust.RDT: _put_closid,
    Adjust.OOM: _put_oom_score,
    Adjust.PART: _put_part,
}
"""column `adjust` → function that puts a field into a part of the adjustment other than its resources"""
if missing := set(Adjust) - _BY_PART.keys() - {Adjust.RESOURCES, Adjust.UNIFIED, Adjust.FILE}:
    raise FieldTableError(f"koordnri.session.encode puts nothing into {missing}")
_OTHER_PARTS = {field: _BY_PART[field.adjust] for field in ALL if field.adjust in _BY_PART}


def put_adjustment(adjust: Adjustment, settings: Iterable[Setting], node: NodeState, nri_version: Version) -> None:
    """Write the whole decision into the reply to CreateContainer.

    A decision has every field once, so nothing is set twice; the runtime would fail the container otherwise.
    """
    resources = adjust.linux.resources
    for setting in settings:
        if setting.route in _NOT_SENT or _put(resources, setting, node):
            continue
        if (put := _OTHER_PARTS.get(setting.field)) is not None:
            put(adjust, setting, nri_version)


def without_unsendable(decision: Decision, node: NodeState, nri_version: Version) -> Decision:
    """The decision without settings that no message can carry (text for a number, a number of 70 bits): bugs of the hooks that set them."""
    sendable, errors = {}, []
    for name, setting in decision.settings.items():
        try:
            put_adjustment(Adjustment(), (setting,), node, nri_version)
        except Exception as error:  # noqa: BLE001  # a bad value costs only itself
            message = f"{name} = {setting.value!r:.60} cannot be sent: {type(error).__name__}: {error}"
            errors.append(HookError(setting.hook, message, "bug"))
        else:
            sendable[name] = setting
    return decision._replace(settings=MappingProxyType(sendable)).with_errors(*errors)
