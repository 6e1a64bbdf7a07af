"""What must change so that a container is as decided: the decision against the resources that it has.

Used for the reply to an update and to Synchronize. Do nothing when nothing changes: equality is the field's own.

A stored value may be kubelet's, ours, or of another plugin. Only ours are ever taken back, so we must know them: `Ours`.
What can be known has limits. Somebody who sets, while we are away, just the value that we had set is taken for us. And of ours, only
those count that a note tells: a reply that went out just before a crash, or the last but one when the runtime refused the last,
looks like kubelet's.
"""

from __future__ import annotations

import operator
from collections.abc import Container, Iterable, Mapping
from typing import Any

from koordnri.model.decision import Decision, Setting
from koordnri.model.field import Adjust, FieldTableError
from koordnri.model.fields import ALL, UNLIMITED, Field, split_name
from koordnri.model.node import NodeState
from koordnri.model.resources import Resources
from koordnri.model.routes import REPLY, WRITE

Ours = Iterable[Mapping[str, Any]]
"""Each maps names of fields to values that we set: at creation, in replies since, by writing files."""

_PLAIN = tuple((field, field.baseline, field.neutral) for field in ALL if field.update and field.baseline)
"""field, attribute of Resources, neutral value"""
_UNIFIED_TEXT = {
    field: "max" if field.neutral == UNLIMITED else str(field.neutral)
    for field in ALL
    if field.update and field.adjust is Adjust.UNIFIED and not field.keyed
}
"""field → its neutral value as `unified` has it"""
_OF_DISKS = tuple(field for field in ALL if field.update and field.adjust is Adjust.UNIFIED and field.keyed)
_RESTORED = "back to what kubelet asked for: the policy has no say in it any more"


def changes(decision: Decision, stored: Resources, node: NodeState) -> list[Setting]:
    """The decided settings that go by a reply and that the stored resources do not have yet."""
    return [s for s in decision.settings.values() if s.route == REPLY and not is_stored(stored, s, node)]


def through_runtime(settings: Iterable[Setting]) -> dict[str, int | str]:
    """Name of the field → value, of what these put into the runtime's stored spec and an update can change later."""
    sent: dict[str, int | str] = {}
    for field, key, value, _, _, route in settings:
        if field.update and route != WRITE:
            plain = value.__class__
            sent[f"{field.name}[{key}]" if field.keyed else field.name] = (
                value if plain is int or plain is str else _plain(field, value)
            )
    return sent


def unrecorded(
    decision: Decision,
    baseline: Resources,
    sent: Mapping[str, tuple[Any, str]],
    node: NodeState,
    drifted: Container[str] = (),
) -> list[Setting]:
    """What an update must carry so that the runtime's stored spec agrees with the decision.

    sent      name of the field → (value, route) that the runtime was told last
    drifted   names of fields that somebody else may have stored there since
    """
    missing = []
    for name, setting in decision.settings.items():
        if setting.route != REPLY:
            continue
        told = sent.get(name)
        has = told[0] if told is not None and told[1] != WRITE else baseline_value(setting.field, baseline, node)
        if name in drifted or not agree(setting.field, has, setting.value):
            missing.append(setting)
    for name, (value, route) in sent.items():
        field, key = split_name(name)
        if name in decision.settings or route == WRITE or field is None or not field.update:
            continue
        if field in decision.undecided or (field.keyed and key not in (node.block_devices or {})):
            continue
        want = baseline_value(field, baseline, node)
        if want is not None and not agree(field, want, value):
            missing.append(Setting(field, key, want, "", _RESTORED, REPLY))
    return missing


def restorations(
    decision: Decision, baseline: Resources, stored: Resources, asked: Resources, node: NodeState, ours: Ours
) -> list[Setting]:
    """What is no longer decided but still stored as we once set it: back to the baseline, once (disabled is not untouched).

    What somebody else stored there since stays. `asked` is what kubelet asks in the same breath; that arrives by itself. A hook that
    failed has not said that it wants nothing: its fields stay as they are.
    """
    back = []
    undecided = decision.undecided
    for field, attribute, neutral in _PLAIN:
        if field.name in decision.settings or field in undecided or getattr(asked, attribute):
            continue
        has = getattr(stored, attribute)
        has = neutral if has is None else has
        if not _is_ours(field, has, ours):
            continue
        want = baseline_value(field, baseline, node)
        if want is not None and not field.same(want, has):
            back.append(Setting(field, "", want, "", _RESTORED, REPLY))
    for field, neutral in _UNIFIED_TEXT.items():
        file = node.field_files[field]
        if field.name in decision.settings or field in undecided or not file or _unified(asked, file) is not None:
            continue
        want, has = _unified(baseline, file) or neutral, _unified(stored, file) or neutral
        if want != has and _is_our_text(field.name, has, ours):
            # The kernel takes other spellings too, such as 1G; what kubelet asked for is given back in its own words.
            value = UNLIMITED if want == "max" else int(want) if want.isdecimal() else want
            back.append(Setting(field, "", value, "", _RESTORED, REPLY))
    back += _restored_devices(decision, baseline, stored, node, ours)
    return back


def asked_since(baseline: Resources, stored: Resources, node: NodeState, ours: Ours) -> Resources:
    """The baseline of a container that was not watched for a while; `baseline` itself when nothing moved.

    A stored value that is neither ours nor the baseline is what kubelet (or another plugin) asked meanwhile: from now on, decisions start
    from it. Limits of disks are left out: kubelet asks for none, and no decision starts from them.
    """
    moved: dict[str, Any] = {}
    for field, attribute, _ in _PLAIN:
        has, want = getattr(stored, attribute), baseline_value(field, baseline, node)
        if has is None or has == "" or (want is not None and field.same(want, has)):
            continue
        if not _is_ours(field, has, ours):
            moved[attribute] = has
    unified: dict[str, str] = {}
    for field, neutral in _UNIFIED_TEXT.items():
        file = node.field_files[field]
        text = _unified(stored, file)
        if text is None or text == (_unified(baseline, file) or neutral) or _is_our_text(field.name, text, ours):
            continue
        unified[file] = text
    if not moved and not unified:
        return baseline
    return baseline.moved_by(Resources(**moved, unified=unified or None))


def baseline_value(field: Field, baseline: Resources, node: NodeState) -> Any:
    """What a field has when nobody but kubelet sets it, in the field's unit; None when that cannot be said or set."""
    if field.baseline:
        value = getattr(baseline, field.baseline)
        if value is None or value == "":
            value = field.neutral
        if value == "":  # a cpuset cannot be unset
            whole = getattr(node, field.whole)
            value = "" if whole is None else str(whole)
        return value if value != "" else None
    if field.keyed or field.adjust is Adjust.FILE:
        return field.neutral
    text = _unified(baseline, node.field_files[field]) or _UNIFIED_TEXT.get(field)
    if text is None:
        return None
    return UNLIMITED if text == "max" else int(text) if text.isdecimal() else None


def stored_of_ours(stored: Resources, node: NodeState, ours: Ours) -> dict[str, int | str]:
    """Name of the field → value, of what is stored and was set by us."""
    found: dict[str, int | str] = {}
    for name in {name for values in ours for name in values}:
        field, key = split_name(name)
        if field is None or not field.update:
            continue
        if field.baseline:
            has = getattr(stored, field.baseline)
            has = field.neutral if has is None else has
            if _is_ours(field, has, ours):
                found[name] = has
            continue
        text = _unified(stored, node.field_files[field])
        if text is not None and field.keyed:
            number, _, text = text.partition(" ")
            text = text if node.device_path(number) == key else None
        for values in ours if text is not None else ():
            if name in values and text == ("max" if values[name] == UNLIMITED else str(values[name])):
                found[name] = values[name]
                break
    return found


def _restored_devices(
    decision: Decision, baseline: Resources, stored: Resources, node: NodeState, ours: Ours
) -> list[Setting]:
    """Limits of the one device that a `unified` entry of ours holds."""
    back = []
    for field in _OF_DISKS:
        neutral = field.neutral
        file = node.field_files[field]
        has = _unified(stored, file)
        if has is None or _unified(baseline, file) is not None:
            continue
        number, _, value = has.partition(" ")
        device = node.device_path(number)
        decided = any(s.field is field and s.route == REPLY for s in decision.settings.values())
        if decided or field in decision.undecided or device is None or value == neutral:
            continue
        if _is_our_text(field.named(device), value, ours):
            back.append(Setting(field, device, neutral, "", _RESTORED, REPLY))
    return back


def agree(field: Field, a: Any, b: Any) -> bool:
    """Of two values, one of which may come from a note, and so be of any type."""
    try:
        return field.same(a, b)
    except (TypeError, AttributeError):
        return False


def _is_ours(field: Field, has: int | str, ours: Ours) -> bool:
    """Whether we set the field to what it has. An annotation may be forged, so types are looked at before values are compared."""
    return any(isinstance(value := o.get(field.name), type(has)) and field.same(value, has) for o in ours)


def _is_our_text(name: str, has: str, ours: Ours) -> bool:
    """The same for what goes through `unified`, in the words of `NodeState.unified_text`."""
    return any(name in o and has == ("max" if o[name] == UNLIMITED else str(o[name])) for o in ours)


def _plain(field: Field, value: Any) -> int | str:
    """A value as its message takes it, where a hook gave something that only behaves like a number or a text."""
    if isinstance(value, str) or field.adjust is Adjust.UNIFIED:
        return str(value)
    try:
        return operator.index(value)
    except TypeError:
        return str(value)


def is_stored(stored: Resources, setting: Setting, node: NodeState) -> bool:
    """Whether the stored resources have what a setting wants."""
    field, value = setting.field, setting.value
    if field.baseline:
        has = getattr(stored, field.baseline)
        return field.same(field.neutral if has is None else has, value)
    text = _unified(stored, node.field_files[field]) or _UNIFIED_TEXT.get(field)
    return text is not None and text == node.unified_text(setting)


def _unified(resources: Resources, file: str) -> str | None:
    return resources.unified.get(file) if resources.unified else None


def check_whole(field: Field) -> None:
    """Raises FieldTableError for a field that goes back to something that no node has."""
    if field.whole and not hasattr(NodeState, field.whole):
        raise FieldTableError(
            f"field {field.name}: whole={field.whole!r} is no attribute of {NodeState.__module__}.NodeState"
        )


for _field in ALL:
    check_whole(_field)
