"""Takes a list apart while it arrives, so that no more of it is held than one object.

A list may be as large as all its objects together, and the server need not cut it in pages: what it serves from its cache it never does.
So the brackets are counted, outside of texts, and each object in `items` is handed on as soon as it is whole. What is in it is not
looked at; the decoder does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from koordnri.kube.errors import Garbled, excerpt

MAX_OBJECT_BYTES = 8 << 20
"""An API server takes objects up to about 1.5 MiB (3 MiB where etcd's limit is raised)."""
MAX_FRAME_BYTES = 1 << 20
"""What a list has beside its objects: its kind and its version."""

_PLAIN = rb'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"'
_TO_BRACKET = re.compile(rb"(?:%b)*+" % _PLAIN, re.DOTALL)
"""Up to the next bracket, or to a text that does not end here."""
_IN_OBJECT = re.compile(rb"(?:%b|\{(?:%b)*+\}|\[(?:%b)*+\])*+" % (_PLAIN, _PLAIN, _PLAIN), re.DOTALL)
"""The same within an object, where what has no further brackets in it is passed over at once."""
_IN_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_ITEMS = re.compile(rb'"items"\s*:\s*\Z')
_LONGEST_KEY = 64
"""bytes in which the name of the objects' array is looked for, before it"""
_QUOTE, _OPENING, _SQUARE = ord('"'), frozenset(b"{["), ord("[")


class Items:
    """`feed` the pieces of one list and take the objects; `end` gives what is left: the list as if it had no objects.

    what   names the request, for the messages
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._buffer = bytearray()
        self._frame = bytearray()
        self._at = 0
        """where to look on in the buffer"""
        self._from = 0
        """where that begins in the buffer which has not been handed on"""
        self._depth = 0
        self._in_text = False
        self._in_items = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The objects that this piece completes. Raises Garbled when something is too long; all of it is to be taken."""
        buffer = self._buffer
        buffer += piece
        while (at := self._bracket()) is not None:
            if buffer[at] in _OPENING:
                if self._depth == 1 and buffer[at] == _SQUARE and self._names_items(at):
                    self._in_items = True
                    self._keep(at + 1)
                elif self._in_items and self._depth == 2:
                    self._keep_between(at)
                self._depth += 1
            else:
                self._depth -= 1
                if self._in_items and self._depth == 2:
                    yield self._object(at + 1)
                    self._from = at + 1
                elif self._in_items and self._depth == 1:
                    self._keep_between(at)
                    self._in_items = False
            self._at = at + 1
        self._forget()

    def end(self) -> bytes:
        """The list is over. Without its objects, which is not JSON where the list was none, or not whole."""
        return bytes(self._frame + self._buffer[self._from :])

    def _object(self, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[self._from : end])

    def _bracket(self) -> int | None:
        """Where the next one is; None when all has been looked at."""
        buffer, at = self._buffer, self._at
        while True:
            # Where a text goes on is remembered: one of a MiB is not to be gone through again with each piece of it.
            pattern = _IN_TEXT if self._in_text else _IN_OBJECT if self._in_items and self._depth > 2 else _TO_BRACKET
            found = pattern.match(buffer, at)
            at = self._at = at if found is None else found.end()
            if at >= len(buffer) or (self._in_text and buffer[at] != _QUOTE):
                return None
            if buffer[at] != _QUOTE:
                return at
            self._in_text = not self._in_text
            at += 1

    def _names_items(self, at: int) -> bool:
        before = self._frame[-_LONGEST_KEY:] + self._buffer[max(self._from, at - _LONGEST_KEY) : at]
        return _ITEMS.search(before) is not None

    def _keep_between(self, at: int) -> None:
        """What stands between two objects: a comma, or something that is no object and makes the list no JSON."""
        if self._buffer[self._from : at].strip(b" \t\r\n,"):
            self._keep(at)
        self._from = at

    def _keep(self, at: int) -> None:
        self._frame += self._buffer[self._from : at]
        self._from = at

    def _forget(self) -> None:
        if not self._in_items:
            self._keep(self._at)
        del self._buffer[: self._from]
        self._at -= self._from
        self._from = 0
        if len(self._frame) > MAX_FRAME_BYTES:
            raise Garbled(f"{self._what}: expected a list, got {excerpt(self._frame)!r} and so on")
        if len(self._buffer) > MAX_OBJECT_BYTES:
            raise Garbled(
                f"{self._what}: expected objects of at most {MAX_OBJECT_BYTES} bytes, got a longer one: {excerpt(self._buffer)!r}"
            )
