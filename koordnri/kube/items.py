"""Splits a list into its objects while it arrives, so that only one object is in memory at a time.

A list can be large, and the server need not page it: an answer from its cache is never paged. So this counts brackets, outside of
strings, and passes on each object of `items` when it is complete. It does not parse the object; the decoder does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from koordnri.kube.errors import Garbled, excerpt

MAX_OBJECT_BYTES = 8 << 20
"""Largest object accepted. An API server accepts about 1.5 MiB (3 MiB where etcd's limit is raised)."""
MAX_FRAME_BYTES = 1 << 20
"""Most bytes of a list besides its objects: its kind and version."""

_MOST = b"{0,500}"
"""Repetitions of a group in one match: the regular expression keeps some 100 bytes of each until it ends."""
_TEXT = rb'[^"\\]*+(?:\\.[^"\\]*+)' + _MOST
_PLAIN = rb'[^"{}\[\]]*+(?:"%b"[^"{}\[\]]*+)%b' % (_TEXT, _MOST)
# Only classes of bytes are repeated possessively (`*+`): groups are repeated wrongly by Python 3.11.0 to 3.11.4 (its issue 106052).
_TO_BRACKET = re.compile(_PLAIN, re.DOTALL)
"""Matches up to the next bracket, or to a string that does not end here; or a part of the way."""
_IN_OBJECT = re.compile(rb"%b(?:(?:\{%b\}|\[%b\])%b)%b" % (*[_PLAIN] * 4, _MOST), re.DOTALL)
"""The same inside an object, where parts without nested brackets are skipped at once."""
_IN_TEXT = re.compile(_TEXT, re.DOTALL)
_ITEMS = re.compile(rb'"items"\s*:\s*\Z')
_LONGEST_KEY = 64
"""bytes before the objects' array that are searched for its name"""
_QUOTE, _ESCAPE, _OPENING, _BRACKETS, _SQUARE = ord('"'), ord("\\"), frozenset(b"{["), frozenset(b"{}[]"), ord("[")


class Items:
    """`feed` the pieces of one list and take its objects. `end` gives the rest: the list as if it had no objects.

    what   names the request, for messages
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._buffer = bytearray()
        self._frame = bytearray()
        self._at = 0
        """position in the buffer where scanning continues"""
        self._from = 0
        """position in the buffer of the first byte that was not passed on"""
        self._depth = 0
        self._in_text = False
        self._in_items = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The objects that this piece completes; consume them all. Raises Garbled when something is too long."""
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
        """The list has ended: its text without objects. That is no valid JSON when the input was no list, or was cut short."""
        return bytes(self._frame + self._buffer[self._from :])

    def _object(self, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[self._from : end])

    def _bracket(self) -> int | None:
        """Position of the next bracket; None when the buffer is scanned."""
        buffer, at = self._buffer, self._at
        while True:
            # It is remembered that the buffer ends inside a string: a string of 1 MiB must not be scanned again with each piece.
            pattern = _IN_TEXT if self._in_text else _IN_OBJECT if self._in_items and self._depth > 2 else _TO_BRACKET
            found = pattern.match(buffer, at)
            at = self._at = at if found is None else found.end()
            if at >= len(buffer) or (self._in_text and buffer[at] == _ESCAPE and at + 1 == len(buffer)):
                return None
            if buffer[at] == _QUOTE:
                self._in_text = not self._in_text
                at += 1
            elif not self._in_text and buffer[at] in _BRACKETS:
                return at

    def _names_items(self, at: int) -> bool:
        before = self._buffer[max(self._from, at - _LONGEST_KEY) : at]
        if lacking := _LONGEST_KEY - len(before):  # always as many bytes, wherever the pieces of the list begin
            before = self._frame[-lacking:] + before
        return _ITEMS.search(before) is not None

    def _keep_between(self, at: int) -> None:
        """Text between two objects: a comma, or something that makes the list invalid JSON."""
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
