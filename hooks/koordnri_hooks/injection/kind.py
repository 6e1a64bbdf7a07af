"""What every kind of injection shares: how its annotation is read, and how a part of the adjustment is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, NamedTuple, TypeVar

import msgspec

from koordnri.hook import ContainerContext, Event, Field
from koordnri.model import AnnotationError
from koordnri.model.annotations import Annotation
from koordnri.model.errors import NodeError
from koordnri.model.fields import Part
from koordnri.model.go_json import go_decoder
from koordnri.model.injection import Injection
from koordnri.policy.text import parse

T = TypeVar("T")
MOST_YAML = 2048
"""Longest YAML that is read (characters), as it is parsed while the runtime waits. JSON may be as long as any annotation."""


class Injecting:
    """One kind's annotation on one container."""

    __slots__ = ("ctx", "key")

    def __init__(self, ctx: ContainerContext, key: str) -> None:
        self.ctx = ctx
        self.key = key
        """the annotation, with its scope"""

    def put(self, field: Field, content: Mapping[str, Any], text: str, key: str = "") -> None:
        """Set a field to a part of NRI's ContainerAdjustment; `text` is that part for people.

        A runtime that would drop the part is an error of the node, so that the pod's owner is not left without an answer.
        """
        ctx = self.ctx
        ctx.set(field, Part(text, content), f"annotation {self.key}", key)
        if ctx.event is Event.CREATE and (why := ctx.skipped.get(field.named(key))) is not None:
            ctx.error(NodeError(f"annotation {self.key}, {field.named(key)}", why))

    def wrong(self, problem: str) -> AnnotationError:
        """The error to raise for a value that no runtime takes. `problem`: where, what was expected, what was got."""
        return AnnotationError(self.key, problem)

    def one_of(self, where: str, text: str, names: Sequence[str]) -> str:
        """The text, if it is one of these names. Raises AnnotationError."""
        if text not in names:
            raise self.wrong(f'{where}: expected one of {", ".join(names)}, got "{text[:80]}"')
        return text

    def within(self, where: str, value: int, least: int, most: int, why: str = "") -> None:
        """Raise AnnotationError for a number out of its range; `why` says what the range depends on."""
        if not least <= value <= most:
            expected = f"{least} to {most}" if least < most else str(least)
            raise self.wrong(f"{where}: expected {expected}{why}, got {value!s:.24}")

    def at_most(self, most: int, items: Sized | None, what: str) -> None:
        """Raise AnnotationError for more items than anybody needs, of which each costs time while the runtime waits."""
        if items is not None and len(items) > most:
            raise self.wrong(f"expected at most {most} {what}, got {len(items)}")

    def once(self, where: str, name: str, field: Field, of_another: Field | None = None) -> None:
        """Raise AnnotationError where the field has a value for this key already: a runtime refuses a container for which one thing is
        set twice. `of_another`: the field by which another hook sets the same thing.
        """
        if field.named(name) in self.ctx.settings:
            raise self.wrong(f'{where}: expected each one once, got "{name[:80]}" twice')
        other = None if of_another is None else self.ctx.settings.get(of_another.named(name))
        if other is not None:
            raise self.wrong(f'{where}: "{name[:80]}" is set by the hook {other.hook} ({other.reason})')


class Kind(NamedTuple):
    """One kind of injection: `give` sets the fields in `owns` from the annotation's value. It raises AnnotationError,
    or NodeError for what this node does not have."""

    injection: Injection
    owns: tuple[Field, ...]
    decode: Callable[[str], Any]
    give: Callable[[Injecting, Any], None]

    def decide(self, ctx: ContainerContext) -> None:
        """Decide the fields of one container. Raises AnnotationError or NodeError; fields may be set by then."""
        written = self.injection.written(ctx.pod, ctx.container.name)
        if written is None:
            return
        key = written[0]
        value = Annotation(key, self.decode).of(ctx.pod)
        self.give(Injecting(ctx, key), value)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"expected JSON, or YAML of at most {MOST_YAML} characters, got {len(text)}: {error}"
        ) from None


def yaml_of(shape: type[T]) -> Callable[[str], T | None]:
    """A decoder of an annotation in JSON or YAML, which reads as Go does. None for null and for an empty text. It raises ValueError."""
    read = go_decoder(shape)

    def decode(text: str) -> T | None:
        value = parse(text) if len(text) <= MOST_YAML else _json(text)
        return None if value is None else read(msgspec.json.encode(value).decode())

    return decode
