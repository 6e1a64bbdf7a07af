"""Kubernetes quantities: `500m`, `1Gi`, `1.5`, `1e3`.

Source of the grammar: apimachinery's resource.Quantity (decimal suffixes n u m k M G T P E, binary Ki Mi Gi Ti Pi Ei, exponent e/E).
"""

from __future__ import annotations

import re
from fractions import Fraction

_SUFFIX = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_BINARY = {suffix: int(factor) for suffix, factor in _SUFFIX.items() if suffix.endswith("i")}
_SHORT = 30
_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40}))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d{1,2}))?", re.ASCII
)


def parse_quantity(text: str | int | float) -> Fraction:
    """The exact value of a quantity. Numbers are accepted too, since annotations have both forms.

    Raises ValueError with the text and what was expected.
    """
    if isinstance(text, bool):
        raise ValueError(f'expected a quantity such as 500m, 2 or 1Gi, got "{text}"')
    if isinstance(text, int):
        return Fraction(text)
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f'expected a quantity such as 500m, 2 or 1Gi, got "{str(text)[:60]}"')
    number, suffix, exponent = match.groups()
    if exponent is not None:
        return Fraction(number) * Fraction(10) ** int(exponent)
    return Fraction(number) * _SUFFIX[suffix or ""]


def quantity_value(text: str | int | float) -> int:
    """The quantity in whole units (bytes, counts), rounded up as Quantity.Value() does."""
    # A fast path for what webhooks write (`2000`, `8Gi`), because annotations are parsed on the event path.
    if isinstance(text, str) and len(text) <= _SHORT and text.isascii():
        if text.isdigit():
            return int(text)
        digits, factor = text[:-2], _BINARY.get(text[-2:])
        if factor is not None and digits.isdigit():
            return int(digits) * factor
    return _ceil(parse_quantity(text))


def quantity_milli(text: str | int | float) -> int:
    """The quantity in thousandths (milli-cores), rounded up as Quantity.MilliValue() does."""
    return _ceil(parse_quantity(text) * 1000)


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
