"""Where the documents of a text of YAML or JSON begin and end, and the elements of their lists. Nothing is made of the text.

This checks the grammar, too, and what the text would expand to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from koordnri.policy.text import check_depth, parse_json, refuse_constant

MAX_DEPTH = 200
"""Deepest nesting in YAML, of any kind of object; libyaml's own recursion has no limit."""
MAX_REPEATED = 200_000
"""Most values that a file's aliases may expand to: a few short lines can expand to billions."""
_ITEMS = "items"
_JSON_BLANKS = re.compile(r"[ \t\n\r]*")
_SCANNER = json.JSONDecoder(parse_constant=refuse_constant)
_NULLS = ("", "~", "null", "Null", "NULL")


class Span(NamedTuple):
    """A part of a text, by characters; `line` and `column` are those of its first one."""

    start: int
    end: int
    line: int = 0
    column: int = 0


class Outline(NamedTuple):
    """One document of a text."""

    number: int
    """in the text, from 1"""
    span: Span
    listed: Span | None = None
    """the value of its key `items`, if that is a list whose elements can be read without the rest"""
    elements: tuple[Span, ...] = ()


# -- JSON -------------------------------------------------------------------------------------------------------------


def outline_json(text: str, start: int) -> Outline:
    """Raises ValueError or RecursionError for what is not one value of JSON."""
    whole = Outline(1, Span(start, len(text)))
    if text[start] != "{":
        parse_json(text)
        return whole
    listed, elements, keys = None, list[Span](), list[str]()
    at = _after(text, start + 1)
    more = text[at : at + 1] != "}"
    at += not more
    while more:
        key, at = _SCANNER.raw_decode(text, at)
        keys.append(key)
        at = _expect(text, at, ":")
        if key == _ITEMS and text[at : at + 1] == "[":
            first = at
            elements, at = _elements(text, at)
            listed = Span(first, at)
        else:
            value, at = _SCANNER.raw_decode(text, at)
            check_depth(value)
        at, more = _next(text, at, "}")
    if _after(text, at) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return whole._replace(listed=listed, elements=tuple(elements)) if keys.count(_ITEMS) == 1 else whole


def _elements(text: str, at: int) -> tuple[list[Span], int]:
    """The elements of the list that begins at a position, and the position after it."""
    found: list[Span] = []
    at = _after(text, at + 1)
    if text[at : at + 1] == "]":
        return found, at + 1
    more = True
    while more:
        value, end = _SCANNER.raw_decode(text, at)
        check_depth(value)
        found.append(Span(at, end))
        at, more = _next(text, end, "]")
    return found, at


def _next(text: str, at: int, closes: str) -> tuple[int, bool]:
    """The position after the next comma, or after what closes the collection; and whether it was a comma."""
    at = _after(text, at)
    if text[at : at + 1] == closes:
        return at + 1, False
    return _expect(text, at, ","), True


def _expect(text: str, at: int, sign: str) -> int:
    at = _after(text, at)
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r} delimiter", text, at)
    return _after(text, at + 1)


def _after(text: str, at: int) -> int:
    found = _JSON_BLANKS.match(text, at)
    return found.end() if found else at


class _Reader:
    """One document, as its events go by."""

    def __init__(self, started: Any) -> None:
        self.start: Any = started.start_mark
        self.whole = bool(started.version or started.tags)
        """whether it must be read as a whole: parts could refer to what is elsewhere in it"""
        self.empty = False
        self.key: str | None = None
        """of the top mapping, while its value is awaited; "" for a key that is no text"""
        self.of_mapping = False
        self.listed: list[tuple[Any, Any]] = []
        """marks of the value of each key `items` that is a list"""
        self.elements: list[Span] = []
        self._open: list[Any] = []
        """where the collections around the present event begin; their number is the depth"""

    def node(self, event: Any) -> None:
        """A scalar, an alias, or the start of a collection."""
        depth, collection = len(self._open), isinstance(event, yaml.CollectionStartEvent)
        if depth == 0:
            self.of_mapping = isinstance(event, yaml.MappingStartEvent)
            self.empty = isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value in _NULLS
        elif depth == 1 and self.of_mapping:
            self._at_top(event)
        elif depth == 2 and not collection and self._in_items:
            self._element(event.start_mark, event.end_mark)
        self.whole |= isinstance(event, yaml.AliasEvent)
        if collection:
            self._open.append(event.start_mark)

    def end(self, event: Any) -> None:
        """The end of a collection."""
        started = self._open.pop()
        if len(self._open) == 2 and self._in_items:
            self._element(started, event.end_mark)
        elif len(self._open) == 1 and self._in_items:
            self.listed[-1] = (self.listed[-1][0], event.end_mark)

    @property
    def _in_items(self) -> bool:
        return bool(self.listed) and self.listed[-1][1] is None

    def _at_top(self, event: Any) -> None:
        if self.key is None:
            self.key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            return
        if self.key == _ITEMS:
            is_list = isinstance(event, yaml.SequenceStartEvent)
            self.whole |= not is_list or bool(self.listed)
            if is_list:
                self.listed.append((event.start_mark, None))
        self.key = None

    def _element(self, start: Any, end: Any) -> None:
        self.elements.append(Span(start.index, end.index, start.line, start.column))

    def outline(self, number: int, end: Any) -> Outline:
        span = Span(self.start.index, end.index, self.start.line, self.start.column)
        if self.whole or not self.listed:
            return Outline(number, span)
        first, last = self.listed[0]
        return Outline(number, span, Span(first.index, last.index), tuple(self.elements))


def outline_yaml(text: str) -> Iterator[Outline]:
    """Checks the grammar alone, before anything is built from it. Raises yaml.YAMLError."""
    expansion, reader, number = _Expansion(), None, 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        expansion.add(event)
        if isinstance(event, yaml.DocumentStartEvent):
            number, reader = number + 1, _Reader(event)
        elif reader is None:
            continue
        elif isinstance(event, yaml.DocumentEndEvent):
            if not reader.empty:
                yield reader.outline(number, event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            reader.end(event)
        elif isinstance(event, yaml.NodeEvent):
            reader.node(event)


class _Expansion:
    """How deep a text is nested, and to how many values its aliases expand."""

    def __init__(self) -> None:
        self._depth = self._values = self._repeated = 0
        self._sizes: dict[str, int] = {}
        self._opened: list[tuple[str, int]] = []

    def add(self, event: Any) -> None:
        """Raises MarkedYAMLError when it is too much."""
        mark: Any = event.start_mark
        anchor: str = getattr(event, "anchor", None) or ""
        if isinstance(event, yaml.CollectionStartEvent):
            self._values, self._depth = self._values + 1, self._depth + 1
            self._opened.append((anchor, self._values))
            if self._depth > MAX_DEPTH:
                problem = f"nested deeper than {MAX_DEPTH} levels"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
            anchor, since = self._opened.pop()
            self._sizes[anchor] = self._values - since + 1
        elif isinstance(event, yaml.ScalarEvent):
            self._values += 1
            self._sizes[anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            size = self._sizes.get(anchor, 0)
            self._values, self._repeated = self._values + size, self._repeated + size
            if self._repeated > MAX_REPEATED:
                problem = f"aliases (*name) repeat more than {MAX_REPEATED} values"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
