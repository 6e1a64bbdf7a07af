"""Plain values to typed ones: one reader for policies and annotations.

Why not msgspec's own converter: it stops at the first mistake, cannot lay a document over a base, and matches keys exactly,
while Go (and so Koordinator's documents) matches them in any case. The types are msgspec Structs all the same; this module
turns each into a tree of small readers once and keeps it.

Reading *over a base* is the merge: keys that are present replace the base's values, objects and maps are merged, lists are
replaced, and null counts as absent (Go's omitempty). So `defaults <- cluster <- node` is three reads.

Understood types: Struct, bool, int, float, str, Literal of texts, list/tuple[T, ...], dict[str, T], T | None, Any,
Annotated with msgspec.Meta (ge, le, gt, min_length), QUANTITY and PERCENT_OR_QUANTITY.
"""

from __future__ import annotations

import difflib
import functools
import math
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from koordnri.model.quantity import quantity_value
from koordnri.policy.errors import MOST_FINDINGS, DocumentError, Mistake, shown, shown_key
from koordnri.policy.text import MAX_DEPTH, Mapping, describe_broken_json

T = TypeVar("T")

QUANTITY = "quantity"
"""Marks an int that may be written as a Kubernetes quantity (`1Gi`, `10M`); read as whole units, rounded up."""

PERCENT_OR_QUANTITY = "percent or quantity"
"""Marks `int | str`: an integer is a percent 0..100, text is a quantity and is kept as text."""

_INT64 = (-(2**63), 2**63 - 1)
_NEAR = 0.6

Path = tuple[Any, str | int]
"""(path of the parent or (), key or index); put into words only when there is a mistake to report."""

Read = Callable[[Any, Any, Any, "Report"], Any]
"""(value, base, path, report) -> typed value, or BAD after at least one mistake was reported."""

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""Returned for a value that counts as not written."""

BAD: Any = type("Bad", (), {"__repr__": lambda self: "BAD"})()


class Document(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all schema types: immutable, camelCase in JSON."""

    def check(self) -> Iterable[tuple[str, str]]:
        """(JSON key, message) for values that are good alone and wrong together."""
        return ()


class Report:
    """Mistakes and warnings of one reading, with `prefix` before every path and `suffix` after every message."""

    def __init__(self, prefix: str = "", suffix: str = "") -> None:
        self.prefix = prefix
        self.suffix = suffix
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def wrong(self, path: Any, message: str) -> Any:
        self.mistakes.append(Mistake(self._words(path), message + self.suffix))
        return BAD

    def warn(self, path: Any, message: str) -> None:
        self.warnings.append(Mistake(self._words(path), message + self.suffix))

    @property
    def hints_wanted(self) -> bool:
        """Whether to look for similar names: it costs, and after this many findings nobody reads them."""
        return len(self.mistakes) + len(self.warnings) < MOST_FINDINGS

    def at(self, path: Any) -> Report:
        """A report into the same lists whose paths begin further down."""
        report = Report(self._words(path), self.suffix)
        report.mistakes, report.warnings = self.mistakes, self.warnings
        return report

    def _words(self, path: Any) -> str:
        steps: list[str] = []
        while path:
            path, step = path
            steps.append(f"[{step}]" if isinstance(step, int) else f".{shown_key(step)}")
        return (self.prefix + "".join(reversed(steps))).removeprefix(".")


def decode(type_: type[T], text: str, path: str, over: T | None = None) -> T:
    """The typed value of a JSON text, for instance of an annotation.

    path names the text in mistakes (the annotation's key); unknown keys are ignored, as Koordinator does.
    over: read over this value; what the text does not say stays as it is there.
    Raises DocumentError with all mistakes.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DocumentError([Mistake(path, describe_broken_json(text) or f"broken JSON, {error}")]) from None
    except RecursionError:
        raise DocumentError([Mistake(path, f"nested deeper than {MAX_DEPTH} levels")]) from None
    report = Report(path)
    result = read(type_, value, report, over)
    if report.mistakes:
        raise DocumentError(report.mistakes)
    return result


def read(type_: type[T], value: Any, report: Report, over: T | None = None) -> T:
    """The typed value of a plain one, laid over a base. Mistakes go to the report; with any, the result is not to be used
    but for looking for further mistakes."""
    result: T = _reader_of(type_)(value, over, (), report)  # type: ignore[arg-type]  # types are hashable; mypy's T is not sure
    return result


@functools.cache
def _reader_of(type_: Any) -> Read:
    """The reader of a type. Raises TypeError for types that this module does not know: a defect of the schema."""
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _StructReader(type_)
    if type_ is Any:
        return _read_any
    if type_ in (int, float, bool, str):
        return _scalar_reader(type_, ())
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return _scalar_reader(arguments[0], arguments[1:])
    if origin is Literal:
        return _choice_reader(arguments)
    if origin in (list, tuple):
        return _list_reader(origin, _reader_of(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _map_reader(_reader_of(arguments[1]))
    if origin in (Union, types.UnionType) and arguments[1:] == (type(None),):
        return _reader_of(arguments[0])
    raise TypeError(f"{type_!r} is not a type that documents can be read as")


class _StructReader:
    """Reads a mapping as a Struct. A class so that types may contain themselves and plans stay inspectable."""

    def __init__(self, type_: type[msgspec.Struct]) -> None:
        self.type = type_
        self.strict = type_.__struct_config__.forbid_unknown_fields
        # A Struct may name one field to take its unknown keys: the map of hooks holds other people's hooks.
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
            if name in changes:
                report.wrong(
                    (path, json_name), f"given twice, once as {shown(key)}; letter case does not tell keys apart"
                )
                continue
            result = read_field(item, None if base is None else getattr(base, name), (path, json_name), report)
            if result is not ABSENT:
                changes[name] = result
        if base is None:
            for name, json_name in self.required:
                if name not in changes:
                    report.wrong((path, json_name), "expected a value, it is missing")
        if self.others is not None and others:
            changes[self.others] = {**(getattr(base, self.others) if base is not None else {}), **others}
        return self._build(base, changes, path, report, before)

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


def report_repeated(value: dict[str, Any], path: Any, report: Report) -> None:
    """Report keys that the text gave more than once: whichever the reader takes, one of the two authors is wrong."""
    if isinstance(value, Mapping):
        for key in value.repeated:
            report.wrong((path, key), "given twice")


def nearest(key: str, names: Iterable[str]) -> str | None:
    """The known name that `key` was probably meant to be."""
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(key[:100].lower(), by_lower, n=1, cutoff=_NEAR)
    return by_lower[matches[0]] if matches else None


def _read_any(value: Any, base: Any, path: Any, report: Report) -> Any:
    return value


def _list_reader(make: Callable[[Iterable[Any]], Any], read_item: Read) -> Read:
    def read_list(value: Any, base: Any, path: Any, report: Report) -> Any:
        if not isinstance(value, list):
            return report.wrong(path, f"expected a list, got {shown(value)}")
        items = [read_item(item, None, (path, index), report) for index, item in enumerate(value)]
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


def _choice_reader(choices: tuple[str, ...]) -> Read:
    words = " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)

    def read_choice(value: Any, base: Any, path: Any, report: Report) -> Any:
        if isinstance(value, str):
            if value in choices:
                return value
            if not value:  # Go's zero value: omitted on the way to koordlet, so what is below it counts
                return ABSENT
        return report.wrong(path, f"expected {words}, got {shown(value)}")

    return read_choice


def _scalar_reader(type_: Any, marks: tuple[Any, ...]) -> Read:
    if PERCENT_OR_QUANTITY in marks:
        return _read_percent_or_quantity
    metas = [mark for mark in marks if isinstance(mark, msgspec.Meta)]
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    above = next((meta.gt for meta in metas if meta.gt is not None), None)
    if type_ is bool:
        return _read_bool
    if type_ is str:
        return _text_reader(next((meta.min_length for meta in metas if meta.min_length is not None), 0))
    if type_ is int:
        return _quantity_reader(low) if QUANTITY in marks else _int_reader(low, high)
    if type_ is float:
        return _float_reader(low, high, above)
    raise TypeError(f"{type_!r} is not a type that documents can be read as")


def _read_bool(value: Any, base: Any, path: Any, report: Report) -> Any:
    if value is True or value is False:
        return value
    return report.wrong(path, f"expected true or false, got {shown(value)}")


def _text_reader(min_length: int) -> Read:
    def read_text(value: Any, base: Any, path: Any, report: Report) -> Any:
        if isinstance(value, str) and len(value) >= min_length:
            return value
        kind = "text that is not empty" if min_length else "text"
        return report.wrong(path, f"expected {kind}, got {shown(value)}")

    return read_text


def _int_reader(low: Any, high: Any) -> Read:
    least, most = (_INT64[0] if low is None else low), (_INT64[1] if high is None else high)
    bounds = _range_words(low, high)

    def read_int(value: Any, base: Any, path: Any, report: Report) -> Any:
        if type(value) is not int:
            return report.wrong(path, f"expected an integer{bounds and ' ' + bounds}, got {shown(value)}")
        if not least <= value <= most:
            return report.wrong(path, f"expected {bounds or 'an integer of 64 bits'}, got {shown(value)}")
        return value

    return read_int


def _float_reader(low: Any, high: Any, above: Any) -> Read:
    bounds = f"above {above}" if above is not None else _range_words(low, high)

    def read_float(value: Any, base: Any, path: Any, report: Report) -> Any:
        if type(value) not in (int, float):
            return report.wrong(path, f"expected a number{bounds and ' ' + bounds}, got {shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            return report.wrong(path, f"expected a number{bounds and ' ' + bounds}, got {shown(value)}")
        if (
            (low is not None and number < low)
            or (high is not None and number > high)
            or (above is not None and number <= above)
        ):
            return report.wrong(path, f"expected {bounds}, got {shown(value)}")
        return number

    return read_float


def _quantity_reader(low: Any) -> Read:
    least = _INT64[0] if low is None else low

    def read_quantity(value: Any, base: Any, path: Any, report: Report) -> Any:
        try:
            if type(value) not in (int, float, str):
                raise ValueError
            amount = quantity_value(value)
        except ValueError:
            return report.wrong(path, f"expected a quantity such as 10M or 1Gi, got {shown(value)}")
        if not least <= amount <= _INT64[1]:
            return report.wrong(
                path, f"expected a quantity {_range_words(low, None) or 'of 64 bits'}, got {shown(value)}"
            )
        return amount

    return read_quantity


def _read_percent_or_quantity(value: Any, base: Any, path: Any, report: Report) -> Any:
    if type(value) is int and 0 <= value <= 100:
        return value
    if isinstance(value, str):
        try:
            if quantity_value(value) >= 0:
                return value
        except ValueError:
            pass
    return report.wrong(path, f"expected a percent 0..100 or a quantity such as 10M, got {shown(value)}")


def _range_words(low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f"{low:g}..{high:g}" if isinstance(low, float) or isinstance(high, float) else f"{low}..{high}"
    if low is not None:
        return f"at least {low}"
    if high is not None:
        return f"at most {high}"
    return ""
