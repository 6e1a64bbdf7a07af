"""Decisions to NRI messages. Which message carries a field is said by the field table; how it is written there is said here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from koordnri.model import UNLIMITED, NodeState, fields
from koordnri.model.decision import Decision, HookError, Setting
from koordnri.model.fields import Field
from koordnri.model.routes import RESCTRL, WRITE
from koordnri.reconcile.plan import Update
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Feature, Version, has

Resources = api.LinuxResources


def _cpus(resources: Resources, value: str) -> None:
    resources.cpu.cpus = value


def _mems(resources: Resources, value: str) -> None:
    resources.cpu.mems = value


def _quota(resources: Resources, value: int) -> None:
    resources.cpu.quota.value = value


def _period(resources: Resources, value: int) -> None:
    resources.cpu.period.value = value


def _shares(resources: Resources, value: int) -> None:
    resources.cpu.shares.value = value


def _memory_limit(resources: Resources, value: int) -> None:
    resources.memory.limit.value = value


def _blockio_class(resources: Resources, value: str) -> None:
    resources.blockio_class.value = value


_PLAIN: dict[Field, Callable[[Resources, Any], None]] = {
    fields.CPU_CPUS: _cpus,
    fields.CPU_MEMS: _mems,
    fields.CPU_QUOTA: _quota,
    fields.CPU_PERIOD: _period,
    fields.CPU_SHARES: _shares,
    fields.MEMORY_LIMIT: _memory_limit,
    fields.BLOCKIO_CLASS: _blockio_class,
}


def put_resources(resources: Resources, settings: Iterable[Setting], node: NodeState, period_us: int = 0) -> None:
    """Write the settings that LinuxResources carries; those of other messages are passed over.

    period_us   of the container; goes with a quota of -1, which crun ignores without. 0: the runtime adds it, or kubelet asks for one
    """
    for setting in settings:
        if setting.route == WRITE:
            continue
        field = setting.field
        plain = _PLAIN.get(field)
        if plain is not None:
            plain(resources, _as_taken(setting, node))
        elif field.adjust == "unified":
            _put_unified(resources, setting, node)
    if period_us and resources.cpu.quota.value < 0 and not resources.cpu.HasField("period"):
        _period(resources, period_us)


def _as_taken(setting: Setting, node: NodeState) -> Any:
    """The value as the runtime takes it."""
    field, value = setting.field, setting.value
    return node.no_limit_bytes if field is fields.MEMORY_LIMIT and field.same(value, UNLIMITED) else value


def _put_unified(resources: Resources, setting: Setting, node: NodeState) -> None:
    resources.unified[setting.field.file(node.cgroup_version, node.cgroup_files)] = node.unified_text(setting)


def encode_update(update: Update, node: NodeState) -> api.ContainerUpdate:
    """An update of a container that did not ask for one. Its failure is not to cost the event that carries it, nor a registration
    (CRI-O with NRI <= 0.11 would leave us a zombie).
    """
    message = api.ContainerUpdate(container_id=update.container_id, ignore_failure=True)
    put_resources(message.linux.resources, update.settings, node, update.period_us)
    return message


def put_adjustment(
    adjust: api.ContainerAdjustment, settings: Iterable[Setting], node: NodeState, nri_version: Version
) -> None:
    """Write the whole decision into the reply to CreateContainer.

    A decision holds every field once, so nothing is set twice; the runtime would fail the container over that.
    """
    resources = adjust.linux.resources
    for setting in settings:
        if setting.route in (WRITE, RESCTRL):
            continue
        field, value = setting.field, setting.value
        plain = _PLAIN.get(field)
        if plain is not None:
            plain(resources, _as_taken(setting, node))
        elif field.adjust == "unified":
            _put_unified(resources, setting, node)
        elif field is fields.ENV:
            adjust.env.add(key=setting.key, value=value)
        elif field is fields.MOUNT:
            adjust.mounts.add(destination=setting.key, source=value.source, type=value.type, options=value.options)
        elif field is fields.DEVICE:
            device = adjust.linux.devices.add(path=setting.key, type=value.type, major=value.major, minor=value.minor)
            device.file_mode.value = value.file_mode
        elif field is fields.CDI:
            # The key is the kind. One name twice is a conflict, which fails the container.
            for name in dict.fromkeys(value.split(",")):
                adjust.CDI_devices.add(name=f"{setting.key}={name}")
        elif field is fields.RDT_CLOSID:
            if has(nri_version, Feature.RDT):
                adjust.linux.rdt.clos_id.value = value
            else:
                resources.rdt_class.value = value
        elif field is fields.OOM_SCORE_ADJ:
            adjust.linux.oom_score_adj.value = value


def drop_unsendable(decision: Decision, node: NodeState, nri_version: Version) -> None:
    """Take out of a decision what no message can carry (text for a number, a number of 70 bits): a bug of the hook that set it."""
    for name, setting in tuple(decision.settings.items()):
        try:
            put_adjustment(api.ContainerAdjustment(), (setting,), node, nri_version)
        except Exception as error:  # noqa: BLE001  # whatever the value is, it costs itself and nothing else
            del decision.settings[name]
            message = f"{name} = {setting.value!r:.60} cannot be sent: {type(error).__name__}: {error}"
            decision.errors.append(HookError(setting.hook, message, "bug"))
