"""Bytes of a list or of a watch's line, to objects of one kind. No I/O, so that it can be tested with bytes.

What the API server would never send is Garbled, with the beginning of what came: a login page of some proxy, half a line, another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

import msgspec

from koordnri.kube.errors import Garbled, Refused, excerpt
from koordnri.kube.items import Items
from koordnri.kube.objects import (
    DECODE_ERRORS,
    Object,
    decode_bookmark,
    decode_line,
    decode_list,
    decode_status,
)

T = TypeVar("T")

MAX_LINE_BYTES = 8 << 20
"""An object is at most about 1.5 MiB; a line is the object and a few bytes."""


class Listed(NamedTuple, Generic[T]):
    """A list: its version, what is kept of its objects, and what is wrong with those that were left out."""

    version: str
    objects: list[T]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One line of a watch. A bookmark has no object: nothing changed up to its version."""

    type: Literal["changed", "deleted", "bookmark"]
    version: str
    item: T | None = None


_TYPES: dict[str, Literal["changed", "deleted"]] = {"ADDED": "changed", "MODIFIED": "changed", "DELETED": "deleted"}


class Lines:
    """Cuts what arrives into lines: `feed` the pieces, and ask at the end what is left of an unfinished line."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes, empty ones left out. Raises Garbled when one does not end."""
        *lines, tail = piece.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += tail
        if len(self._rest) > MAX_LINE_BYTES:
            raise Garbled(f"{self._what}: expected lines of at most {MAX_LINE_BYTES} bytes, got a longer one")
        return (line for line in lines if line.strip())

    def end(self) -> None:
        """The answer is over. Raises Garbled when that was in the middle of a line."""
        if self._rest.strip():
            raise Garbled(f"{self._what}: expected whole lines of JSON, the answer ends in {excerpt(self._rest)!r}")


class Decoding(Generic[T]):
    """For objects of one kind. `what` in the methods names the request, for the message.

    keep   what is kept of an object; the object itself goes
    """

    def __init__(self, kind: str, object_type: type[Object], keep: Callable[[Any], T]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(object_type).decode
        self._keep = keep

    def page(self, what: str) -> Page[T]:
        """For a list, or a page of one."""
        return Page(self, what)

    def listed(self, raw: bytes) -> T:
        """One object of a list, in which its kind may be left out. Raises ValueError, with what is wrong."""
        try:
            item = self._decode(raw)
        except DECODE_ERRORS as error:
            raise ValueError(f"{error}; got {excerpt(raw)!r}") from None
        if item.kind not in ("", self.kind):
            raise ValueError(f"expected kind {self.kind}, got {excerpt(item.kind)!r}")
        return self._keep(item)

    def line(self, what: str, text: bytes) -> Change[T]:
        """A line of a watch. Raises Garbled, and Refused for an ERROR line (410: the version is too old)."""
        try:
            line = decode_line(text)
            if line.type == "ERROR":
                _raise_error(what, line.object)
            if line.type == "BOOKMARK":
                bookmark = decode_bookmark(line.object)
                self._check(what, bookmark.kind, bookmark.metadata.resource_version)
                return Change("bookmark", bookmark.metadata.resource_version)
            item = self._decode(line.object)
        except DECODE_ERRORS as error:
            raise Garbled(f"{what}: expected a watch event of a {self.kind}, got {excerpt(text)!r}: {error}") from None
        self._check(what, item.kind, item.metadata.resource_version)
        type_ = _TYPES.get(line.type)
        if type_ is None:
            raise Garbled(f"{what}: expected one of {', '.join(_TYPES)}, BOOKMARK, ERROR, got {excerpt(line.type)!r}")
        return Change(type_, item.metadata.resource_version, self._keep(item))

    def _check(self, what: str, kind: str, version: str) -> None:
        if kind != self.kind or not version:
            raise Garbled(f"{what}: expected a {self.kind} with a resourceVersion, got a {excerpt(kind)!r}")


class Page(Generic[T]):
    """A list that arrives: `feed` its pieces, then `end`. A single bad object in it costs that object only.

    version, rest   known after `end`: of the list, and what to ask for the next page with ("": there is none)
    problems        what is wrong with the objects that were left out
    """

    def __init__(self, decoding: Decoding[T], what: str) -> None:
        self.version = ""
        self.rest = ""
        self.objects: list[T] = []
        self.problems: list[str] = []
        self._decoding = decoding
        self._what = what
        self._items = Items(what)

    def feed(self, piece: bytes) -> None:
        """The next piece. Raises Garbled when what comes is too long to be a list."""
        for raw in self._items.feed(piece):
            try:
                self.objects.append(self._decoding.listed(raw))
            except ValueError as error:
                self.problems.append(str(error))

    def end(self) -> None:
        """That was all. Raises Garbled when it was no list of this kind, or not a whole one."""
        what, kind, frame = self._what, f"{self._decoding.kind}List", self._items.end()
        try:
            found = decode_list(frame)
        except DECODE_ERRORS as error:
            raise Garbled(f"{what}: expected a {kind}, got {excerpt(frame)!r}: {error}") from None
        if found.kind != kind or not found.metadata.resource_version:
            raise Garbled(f"{what}: expected a {kind} with a resourceVersion, got a {excerpt(found.kind)!r}")
        self.version, self.rest = found.metadata.resource_version, found.metadata.rest


def _raise_error(what: str, raw: msgspec.Raw) -> NoReturn:
    status = decode_status(raw)
    if status.kind != "Status":
        raise Garbled(f"{what}: expected a Status in an ERROR event, got a {excerpt(status.kind)!r}")
    raise Refused(what, status.code, excerpt(status.message, 500))
