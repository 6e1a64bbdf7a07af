"""Turns plain values into typed ones: one reader for policies and annotations.

Why not msgspec's own converter: it stops at the first mistake, cannot lay a document over a base, and matches keys exactly, while Go (and
so Koordinator's documents) ignores letter case. The types are msgspec Structs all the same; this module turns each into a tree of small
readers once, and keeps it.

Reading *over a base* is the merge: keys that are present replace the base's values, objects and maps are merged, lists are replaced, and
null counts as absent (Go's omitempty). So `defaults <- cluster <- node` is three readings.

Understood types: Struct, bool, int, float, str, Literal of texts, list/tuple[T, ...], dict[str, T], T | None, Any,
Annotated with msgspec.Meta (ge, le, gt, min_length), QUANTITY and PERCENT_OR_QUANTITY.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from koordnri.policy.errors import DocumentError, Mistake, shown
from koordnri.policy.report import ABSENT, BAD, Enough, Read, Report, nearest, report_repeated
from koordnri.policy.scalars import choice_reader, scalar_reader
from koordnri.policy.text import MAX_DEPTH, describe_broken_json

T = TypeVar("T")


class Document(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all schema types: immutable, camelCase in JSON."""

    def check(self) -> Iterable[tuple[str, str]]:
        """(JSON key, message) for values that are correct alone and wrong together."""
        return ()


def decode(type_: type[T], text: str) -> T:
    """The typed value of an annotation's JSON text, read as Go does: null counts as absent, and of keys that differ only in letter case the
    last one wins. Unknown keys are ignored, as Koordinator does.

    Raises DocumentError with the mistakes, at most MOST_FINDINGS.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DocumentError([Mistake("", describe_broken_json(text) or f"broken JSON, {error}")]) from None
    except RecursionError:
        raise DocumentError([Mistake("", f"nested deeper than {MAX_DEPTH} levels")]) from None
    report = Report(last_wins=True, brief=True)
    try:
        result = read(type_, {} if value is None else value, report)
    except Enough:
        raise DocumentError(report.mistakes) from None
    if report.mistakes:
        raise DocumentError(report.mistakes)
    return result


def read(type_: type[T], value: Any, report: Report, over: T | None = None) -> T:
    """The typed value of a plain one, laid over a base. Mistakes go to the report. With mistakes, use the result only to look for further
    mistakes."""
    result: T = _reader_of(type_)(value, over, (), report)  # type: ignore[arg-type]  # types are hashable; mypy's T is not sure
    return result


@functools.cache
def _reader_of(type_: Any) -> Read:
    """The reader of a type. Raises TypeError for types that this module does not know: a bug in the schema."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _StructReader(type_)
    if type_ is Any:
        return _read_any
    if type_ in (int, float, bool, str):
        return scalar_reader(type_, ())
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return scalar_reader(arguments[0], arguments[1:])
    if origin is Literal:
        return choice_reader(arguments)
    if origin in (list, tuple):
        return _list_reader(origin, _reader_of(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _map_reader(_reader_of(arguments[1]))
    if origin in (Union, types.UnionType) and arguments[1:] == (type(None),):
        return _reader_of(arguments[0])
    raise TypeError(f"{type_!r} is not a type that documents can be read as")


class _StructReader:
    """Reads a mapping as a Struct. A class, so that types may contain themselves and can be inspected."""

    def __init__(self, type_: type[msgspec.Struct]) -> None:
        self.type = type_
        self.strict = type_.__struct_config__.forbid_unknown_fields
        # A Struct may have one field for its unknown keys: third parties' hooks.
        self.others: str | None = getattr(type_, "others_field", None)
        infos = msgspec.structs.fields(type_)
        self.fields: dict[str, tuple[str, str, Read]] = {}
        self.read_other: Read = _read_any
        for info in infos:
            if info.name == self.others:
                self.read_other = _reader_of(get_args(info.type)[1])
                continue
            self.fields[info.encode_name.lower()] = (info.name, info.encode_name, _reader_of(info.type))
        self.keys = {
            info.encode_name: self.fields[info.encode_name.lower()] for info in infos if info.name != self.others
        }
        self.required = [(info.name, info.encode_name) for info in infos if info.required]
        self.checks = getattr(type_, "check", Document.check) is not Document.check

    def __call__(self, value: Any, base: Any, path: Any, report: Report) -> Any:
        if not isinstance(value, dict):
            return report.wrong(path, f"expected a mapping, got {shown(value)}")
        before = len(report.mistakes)
        changes: dict[str, Any] = {}
        others: dict[str, Any] = {}
        report_repeated(value, path, report)
        for key, item in value.items():
            field = self.keys.get(key) or self.fields.get(key.lower())
            if field is None:
                if self.others is None:
                    self._unknown(key, path, report)
                elif item is not None:
                    known = (getattr(base, self.others) if base is not None else {}).get(key)
                    others[key] = self._other(key, item, known, (path, key), report)
                continue
            name, json_name, read_field = field
            if item is None:
                continue
            if name in changes and not report.last_wins:
                report.wrong(
                    (path, json_name), f"given twice, once as {shown(key)}; letter case does not distinguish keys"
                )
                continue
            result = read_field(item, None if base is None else getattr(base, name), (path, json_name), report)
            if result is not ABSENT:
                changes[name] = result
        if base is None:
            self._report_missing(changes, path, report)
        if self.others is not None and others:
            changes[self.others] = {**(getattr(base, self.others) if base is not None else {}), **others}
        return self._build(base, changes, path, report, before)

    def _report_missing(self, changes: dict[str, Any], path: Any, report: Report) -> None:
        for name, json_name in self.required:
            if name not in changes:
                report.wrong((path, json_name), "expected a value, it is missing")

    def _build(self, base: Any, changes: dict[str, Any], path: Any, report: Report, before: int) -> Any:
        clean = len(report.mistakes) == before
        if not clean:
            changes = {name: item for name, item in changes.items() if item is not BAD}
            if base is None and any(name not in changes for name, _ in self.required):
                return BAD
        result: Any = self.type(**changes) if base is None else msgspec.structs.replace(base, **changes)
        if clean and changes and self.checks:
            for json_name, message in result.check():
                report.wrong((path, json_name), message)
        return result

    def _unknown(self, key: str, path: Any, report: Report) -> None:
        names = [json_name for _, json_name, _ in self.fields.values()]
        near = nearest(key, names) if report.hints_wanted else None
        hint = f"; did you mean {near}?" if near else ""
        if self.strict:
            report.wrong((path, key), f"unknown key, expected one of {', '.join(names)}{hint}")
        else:
            report.warn((path, key), f"unknown key, ignored{hint}")

    def _other(self, key: str, item: Any, base: Any, path: Any, report: Report) -> Any:
        before = len(report.mistakes)
        result = self.read_other(item, base, path, report)
        near = nearest(key, [json_name for _, json_name, _ in self.fields.values()]) if report.hints_wanted else None
        if near:
            known = f"none of koordnri's own has this name; did you mean {near}?"
            if len(report.mistakes) > before:
                report.wrong(path, known)
            else:
                report.warn(path, known)
        return result


def _read_any(value: Any, base: Any, path: Any, report: Report) -> Any:
    return value


def _list_reader(make: Callable[[Iterable[Any]], Any], read_item: Read) -> Read:
    def read_list(value: Any, base: Any, path: Any, report: Report) -> Any:
        if not isinstance(value, list):
            return report.wrong(path, f"expected a list, got {shown(value)}")
        items = [read_item(item, None, (path, index), report) for index, item in enumerate(value)]
        for index, item in enumerate(items):
            if item is ABSENT:  # an empty text means "not written" as the value of a key only
                report.wrong((path, index), f"expected a value, got {shown(value[index])}")
        return make(item for item in items if item is not BAD and item is not ABSENT)

    return read_list


def _map_reader(read_item: Read) -> Read:
    def read_map(value: Any, base: Any, path: Any, report: Report) -> Any:
        if not isinstance(value, dict):
            return report.wrong(path, f"expected a mapping, got {shown(value)}")
        report_repeated(value, path, report)
        merged = dict(base or ())
        for key, item in value.items():
            if item is not None:
                result = read_item(item, merged.get(key), (path, key), report)
                if result is not BAD and result is not ABSENT:
                    merged[key] = result
        return merged

    return read_map
