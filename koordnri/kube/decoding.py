"""Decodes the bytes of a list, or of a line of a watch, into objects of one kind. No I/O, so tests feed it bytes.

Input that no API server sends raises Garbled with its beginning: a proxy's login page, half a line, another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

import msgspec

from koordnri.kube.errors import ApiRefused, Garbled, excerpt
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
"""Longest line of a watch. It holds one object, at most about 1.5 MiB, and a few bytes."""


class Listed(NamedTuple, Generic[T]):
    """A list: its version, what is kept of its objects, and what is wrong with objects that were left out."""

    version: str
    objects: list[T]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One line of a watch. A bookmark has no object: it says that nothing changed up to its version."""

    type: Literal["changed", "deleted", "bookmark"]
    version: str
    item: T | None = None


_TYPES: dict[str, Literal["changed", "deleted"]] = {"ADDED": "changed", "MODIFIED": "changed", "DELETED": "deleted"}


class Lines:
    """Cuts a stream into lines: `feed` the pieces, then `end`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes, without empty ones. Raises Garbled when a line is too long."""
        *lines, tail = piece.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += tail
        if len(self._rest) > MAX_LINE_BYTES:
            raise Garbled(f"{self._what}: expected lines of at most {MAX_LINE_BYTES} bytes, got a longer one")
        return (line for line in lines if line.strip())

    def end(self) -> None:
        """The stream ended. Raises Garbled when it ended inside a line."""
        if self._rest.strip():
            raise Garbled(f"{self._what}: expected whole lines of JSON, the answer ends in {excerpt(self._rest)!r}")


class Decoding(Generic[T]):
    """Decodes objects of one kind. In all methods `what` names the request, for messages.

    keep   makes what is kept of an object; the object itself is dropped
    """

    def __init__(self, kind: str, object_type: type[Object], keep: Callable[[Any], T]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(object_type).decode
        self._keep = keep

    def page(self, what: str) -> Page[T]:
        """Begins a list, or one page of it."""
        return Page(self, what)

    def listed(self, raw: bytes) -> T:
        """One object of a list. There it may lack its kind. Raises ValueError that says what is wrong."""
        try:
            item = self._decode(raw)
        except DECODE_ERRORS as error:
            raise ValueError(f"{error}; got {excerpt(raw)!r}") from None
        if item.kind not in ("", self.kind):
            raise ValueError(f"expected kind {self.kind}, got {excerpt(item.kind)!r}")
        return self._keep(item)

    def line(self, what: str, text: bytes) -> WatchEvent[T]:
        """One line of a watch. Raises Garbled; ApiRefused for an ERROR line (410: the version is too old)."""
        try:
            line = decode_line(text)
            if line.type == "ERROR":
                _raise_error(what, line.object)
            if line.type == "BOOKMARK":
                bookmark = decode_bookmark(line.object)
                self._check(what, bookmark.kind, bookmark.metadata.resource_version)
                return WatchEvent("bookmark", bookmark.metadata.resource_version)
            item = self._decode(line.object)
        except DECODE_ERRORS as error:
            raise Garbled(f"{what}: expected a watch event of a {self.kind}, got {excerpt(text)!r}: {error}") from None
        self._check(what, item.kind, item.metadata.resource_version)
        type_ = _TYPES.get(line.type)
        if type_ is None:
            raise Garbled(f"{what}: expected one of {', '.join(_TYPES)}, BOOKMARK, ERROR, got {excerpt(line.type)!r}")
        return WatchEvent(type_, item.metadata.resource_version, self._keep(item))

    def _check(self, what: str, kind: str, version: str) -> None:
        if kind != self.kind or not version:
            raise Garbled(f"{what}: expected a {self.kind} with a resourceVersion, got a {excerpt(kind)!r}")


class Page(Generic[T]):
    """A list that is arriving: `feed` its pieces, then `end`. A bad object costs only itself.

    version, rest   known after `end`: the list's version, and the token for its next page ("": no further page)
    problems        what is wrong with objects that were left out
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
        """The next piece. Raises Garbled when the list becomes too long."""
        for raw in self._items.feed(piece):
            try:
                self.objects.append(self._decoding.listed(raw))
            except ValueError as error:
                self.problems.append(str(error))

    def end(self) -> None:
        """The list has ended. Raises Garbled when it was no list of this kind, or was cut short."""
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
    raise ApiRefused(what, status.code, excerpt(status.message, 500))
