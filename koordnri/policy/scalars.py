"""Readers of single values. Their ranges and formats are in msgspec.Meta, or in one of the marks here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from koordnri.model.cpuset import MAX_CPU, CPUSet
from koordnri.model.quantity import quantity_value
from koordnri.policy.errors import shown
from koordnri.policy.report import ABSENT, Read, Report

QUANTITY = "quantity"
"""Marks an int that may be a Kubernetes quantity (`1Gi`, `10M`); read as whole units, rounded up."""

PERCENT_OR_QUANTITY = "percent or quantity"
"""Marks `int | str`: an integer is a percent 0..100, text is a quantity and is kept as text."""

CORE_OR_COUNT = "core or count"
"""Marks `int | str`: the word `core`, or a number from 0 on."""
CORE = "core"


class TextForm(NamedTuple):
    """Marks a type that is written as text in its own format."""

    words: str
    """what is expected, for messages"""
    pattern: str
    """for the whole text, in syntax common to Python and JSON Schema"""
    read: Callable[[str], Any] = str
    """makes the value of a matching text. Raises ValueError"""


CPU_LIST = TextForm(
    f'a list of CPUs such as "0-1,8", each at most {MAX_CPU}',
    "^ *[0-9]{1,4}(-[0-9]{1,4})? *(, *[0-9]{1,4}(-[0-9]{1,4})? *)*$",
    CPUSet.parse,
)
NAMESPACE = TextForm("the name of a namespace", "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")

_INT64 = (-(2**63), 2**63 - 1)


def scalar_reader(type_: Any, marks: tuple[Any, ...]) -> Read:
    """The reader of bool, str, int or float with its marks, or of a Form. Raises TypeError for other types."""
    for form in marks:
        if isinstance(form, TextForm):
            return _form_reader(form)
    if PERCENT_OR_QUANTITY in marks:
        return _read_percent_or_quantity
    if CORE_OR_COUNT in marks:
        return _read_core_or_count
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


def _read_core_or_count(value: Any, base: Any, path: Any, report: Report) -> Any:
    if value == CORE or (type(value) is int and 0 <= value <= MAX_CPU):
        return value
    return report.wrong(path, f'expected "{CORE}" or an integer 0..{MAX_CPU}, got {shown(value)}')


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


def _form_reader(form: TextForm) -> Read:
    pattern = re.compile(form.pattern)

    def read_form(value: Any, base: Any, path: Any, report: Report) -> Any:
        try:
            if isinstance(value, str) and pattern.fullmatch(value):
                return form.read(value)
        except ValueError:
            pass
        return report.wrong(path, f"expected {form.words}, got {shown(value)}")

    return read_form


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
            if 0 <= quantity_value(value) <= _INT64[1]:  # terway could not read the file of a node with a larger one
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


def choice_reader(choices: tuple[str, ...]) -> Read:
    """The reader of a Literal of texts; letter case counts, as in Go."""
    words = " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)

    def read_choice(value: Any, base: Any, path: Any, report: Report) -> Any:
        if isinstance(value, str):
            if value in choices:
                return value
            if not value:  # Go's zero value: omitted on the way to koordlet, so what is below it counts
                return ABSENT
        elif value is False and "off" in choices:  # YAML reads unquoted off as false
            return "off"
        return report.wrong(path, f"expected {words}, got {shown(value)}")

    return read_choice
