"""Turns NRI messages, as the event path reads them (`wire.views_pb2`), into values of the model.

Every field is copied, because a kept sub-message would keep its whole request in memory (23 kB per container).
"""

from __future__ import annotations

import msgspec

from koordnri.model import UNLIMITED, Container, Pod, Resources
from koordnri.model.bounds import bounded_annotations, bounded_labels
from koordnri.model.field import FieldTableError
from koordnri.model.fields import ALL, Field
from koordnri.model.resources import BASELINE_KEY, NOTHING, Note, decode_note
from koordnri.session.place import place_of
from koordnri.wire import views_pb2 as views

_INT64 = 1 << 63
_NO_LIMIT_BYTES = (_INT64 - 1) >> 16 << 16
"""From here on a memory limit means none, for runtimes that refuse negative ones: the largest value with pages of 64 KiB."""


def pod_from(message: views.PodSandbox) -> Pod:
    """The pod sandbox. `linux` may be empty; then the cgroup parent is "" and the resources are unset."""
    linux, labels, reported = message.linux, message.labels, message.annotations
    return Pod(
        message.id,
        message.uid,
        message.namespace,
        message.name,
        # Not dict(), here and below: protobuf maps have their iterator in C, their items() in Python.
        bounded_labels({key: labels[key] for key in labels}),
        bounded_annotations({key: reported[key] for key in reported}),
        linux.cgroup_parent,
        message.runtime_handler,
        resources_from(linux.pod_resources) if linux.HasField("pod_resources") else NOTHING,
    )


def resources_from(message: views.LinuxResources) -> Resources:
    """Resources in the message. 0 counts as unset, because runtimes send 0 for "not asked" (nri.md 5.3)."""
    cpu, memory = message.cpu, message.memory
    unified = message.unified
    return Resources(
        cpu.shares.value or None,
        cpu.quota.value or None,
        cpu.period.value or None,
        cpu.cpus,
        cpu.mems,
        _limit(memory.limit.value),
        {key: unified[key] for key in unified} if unified else None,
    )


def _limit(limit: int) -> int | None:
    return (limit if limit < _NO_LIMIT_BYTES else UNLIMITED) or None


def container_from(message: views.Container, note: Note | None = None) -> Container:
    """The container. Its baseline is that of `note` if given, else that of its annotation, else its stored resources."""
    stored = resources_from(message.linux.resources)
    note = note or note_of(message)
    return Container(message.id, message.name, message.pod_sandbox_id, stored if note is None else note.asked, stored)


def note_of(message: views.Container) -> Note | None:
    """The note in the container's annotation; None without one, or when it is not ours (the pod's owner may write one, too)."""
    text: str | None = message.annotations.get(BASELINE_KEY)
    if text is None:
        return None
    try:
        note = decode_note(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return note if _fits(note.asked) else None


_LEAST = tuple(
    (field.baseline, UNLIMITED if field.neutral == UNLIMITED else 0)
    for field in ALL
    if field.baseline and isinstance(field.neutral, int)
)
"""attribute of Resources that is a number, the least that a message carries of it"""


def _fits(baseline: Resources) -> bool:
    """Whether the numbers fit into a message: others would fail the whole reply that contains them."""
    return all((n := getattr(baseline, name)) is None or least <= n < _INT64 for name, least in _LEAST)


def check_read(field: Field) -> None:
    """Raises FieldTableError for a field whose place in a request `resources_from` does not read into the baseline."""
    if not field.baseline:
        return
    place, message = place_of(field, views.LinuxResources), views.LinuxResources()
    value = 1 if isinstance(field.neutral, int) else "1"
    setattr(place.holder(message), place.attribute, value)
    if getattr(resources_from(message), field.baseline) != value:
        raise FieldTableError(
            f"field {field.name}: {__name__}.resources_from does not read place={field.place!r} "
            f"into baseline={field.baseline!r}"
        )


for _field in ALL:
    check_read(_field)
