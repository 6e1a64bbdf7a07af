"""What must change in a container's resources so that they agree with the decision.

Used for replies to an update and to Synchronize. Equal values, by the field's own equality, are not sent.

A stored value may be kubelet's, ours, or another plugin's. Only ours are ever given back, so they must be known: `Ours`. This knowledge has
limits. If somebody sets exactly our value while koordnri is away, it counts as ours. And only values in a note count as ours: after a crash
just behind a reply, or after the runtime refused the last of several, a value of ours may count as kubelet's.
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
"""Mappings of field names to values that we set: at creation, in later replies, by writing files."""

_PLAIN = tuple((field, field.baseline, field.neutral) for field in ALL if field.update and field.baseline)
"""field, attribute of Resources, neutral value"""
_UNIFIED_TEXT = {
    field: "max" if field.neutral == UNLIMITED else str(field.neutral)
    for field in ALL
    if field.update and field.adjust is Adjust.UNIFIED and not field.keyed
}
"""field → its neutral value as in `unified`"""
_OF_DISKS = tuple(field for field in ALL if field.update and field.adjust is Adjust.UNIFIED and field.keyed)
_RESTORED = "back to what kubelet asked for: the policy has no say in it any more"


def changes(decision: Decision, stored: Resources, node: NodeState) -> list[Setting]:
    """The decided settings that a reply can carry and that the stored resources lack."""
    return [s for s in decision.settings.values() if s.route == REPLY and not is_stored(stored, s, node)]


def through_runtime(settings: Iterable[Setting]) -> dict[str, int | str]:
    """Field name → value, for settings that go into the runtime's stored spec and that an update can change later."""
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
    """The settings that an update must carry so that the runtime's stored spec agrees with the decision.

    sent      field name → (value, route) as last sent to the runtime
    drifted   names of fields for which somebody else may have stored a value since
    """
    missing = []
    for name, setting in decision.settings.items():
        if setting.route != REPLY:
            continue
        last = sent.get(name)
        has = last[0] if last is not None and last[1] != WRITE else baseline_value(setting.field, baseline, node)
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
    """Settings for values that we stored and that are no longer decided: back to the baseline, once.

    Values that somebody else stored since stay. `asked`: resources in this request; the runtime applies them anyway. A failed hook did not
    say that it wants nothing: its fields stay as they are.
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
            # The kernel accepts other spellings too, such as 1G; kubelet's value is given back literally.
            value = UNLIMITED if want == "max" else int(want) if want.isdecimal() else want
            back.append(Setting(field, "", value, "", _RESTORED, REPLY))
    back += _restored_devices(decision, baseline, stored, node, ours)
    return back


def asked_since(baseline: Resources, stored: Resources, node: NodeState, ours: Ours) -> Resources:
    """The baseline of a container that was not watched for a while; `baseline` itself when nothing changed.

    A stored value that is neither ours nor the baseline was asked for by kubelet (or another plugin) meanwhile: it is the new baseline.
    Disk limits are excluded, because kubelet asks for none and no decision starts from them.
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


def rebased(before: Resources, after: Resources, node: NodeState) -> dict[str, Any]:
    """Field name → value of the new baseline, for fields whose baseline is another one than before."""
    fields = (field for field, attribute, _ in _PLAIN if getattr(before, attribute) != getattr(after, attribute))
    values = {field.name: baseline_value(field, after, node) for field in fields}
    return {name: value for name, value in values.items() if value is not None}


def baseline_value(field: Field, baseline: Resources, node: NodeState) -> Any:
    """A field's value when only kubelet sets it, in the field's unit; None when it is unknown or cannot be set."""
    if field.baseline:
        value = getattr(baseline, field.baseline)
        if value is None or value == "":
            value = field.neutral
        if value == "":  # a cpuset cannot be unset
            value = whole_of(field, node)
        return value if value != "" else None
    if field.keyed or field.adjust is Adjust.FILE:
        return field.neutral
    text = _unified(baseline, node.field_files[field]) or _UNIFIED_TEXT.get(field)
    if text is None:
        return None
    return UNLIMITED if text == "max" else int(text) if text.isdecimal() else None


def whole_of(field: Field, node: NodeState) -> str:
    """The value of a field with the column `whole` that limits nothing on this node; "" when it is unknown."""
    whole = getattr(node, field.whole)
    return "" if whole is None else str(whole)


def stored_of_ours(stored: Resources, node: NodeState, ours: Ours) -> dict[str, int | str]:
    """Field name → value, for stored values that we set."""
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
    """The limits of the one device in our `unified` entry."""
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
    """Whether two values are equal. One may come from a note, and so have any type."""
    try:
        return field.same(a, b)
    except (TypeError, AttributeError):
        return False


def _is_ours(field: Field, has: int | str, ours: Ours) -> bool:
    """Whether we set the field to its present value. An annotation may be forged, so types are checked before values are compared."""
    return any(isinstance(value := o.get(field.name), type(has)) and field.same(value, has) for o in ours)


def _is_our_text(name: str, has: str, ours: Ours) -> bool:
    """The same for `unified`, with texts as in `NodeState.unified_text`."""
    return any(name in o and has == ("max" if o[name] == UNLIMITED else str(o[name])) for o in ours)


def _plain(field: Field, value: Any) -> int | str:
    """A value as its message accepts it, when a hook gave something that only behaves like a number or text."""
    if isinstance(value, str) or field.adjust is Adjust.UNIFIED:
        return str(value)
    try:
        return operator.index(value)
    except TypeError:
        return str(value)


def is_stored(stored: Resources, setting: Setting, node: NodeState) -> bool:
    """Whether the stored resources have a setting's value."""
    field, value = setting.field, setting.value
    if field.baseline:
        has = getattr(stored, field.baseline)
        return field.same(field.neutral if has is None else has, value)
    text = _unified(stored, node.field_files[field]) or _UNIFIED_TEXT.get(field)
    return text is not None and text == node.unified_text(setting)


def _unified(resources: Resources, file: str) -> str | None:
    return resources.unified.get(file) if resources.unified else None


def check_whole(field: Field) -> None:
    """Raises FieldTableError for a field that is given back as an attribute that no node has."""
    if field.whole and not hasattr(NodeState, field.whole):
        raise FieldTableError(
            f"field {field.name}: whole={field.whole!r} is no attribute of {NodeState.__module__}.NodeState"
        )


for _field in ALL:
    check_whole(_field)
