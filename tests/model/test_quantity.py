"""Kubernetes quantities. The table is checked against apimachinery's grammar: suffixes, exponents, rounding up."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import parse_quantity, quantity_milli, quantity_value


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("0", 0),
        ("500m", Fraction(1, 2)),
        ("1Gi", 2**30),
        ("1.5Gi", 3 * 2**29),
        ("1G", 10**9),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("1e-3", Fraction(1, 1000)),
        ("1e+3", 1000),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+1", 1),
        ("-1", -1),
        ("1u", Fraction(1, 10**6)),
        ("1n", Fraction(1, 10**9)),
        ("007", 7),
        (2, 2),
        (1.5, Fraction(3, 2)),
        (1e3, 1000),
        (1e22, 10**22),
    ],
)
def test_quantities_are_exact(text, exact):
    assert parse_quantity(text) == exact


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            " 1",
            "1 ",
            "1 Gi",
            "Gi",
            ".",
            "-",
            "+",
            "1K",
            "1g",
            "1ki",
            "1mi",
            "1e",
            "1e1.5",
            "1Gi2",
            "1,5",
            "0x10",
        ),
        *("--1", "1.2.3", "nan", "inf", "NaN", "٣", "1e999", "9" * 41, True, float("nan"), float("inf"), 1e300),
    ],
)
def test_what_is_no_quantity_is_refused_and_quoted(text):
    with pytest.raises(ValueError, match="expected a quantity such as 500m, 2 or 1Gi, got ") as caught:
        parse_quantity(text)
    assert str(text)[:60] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "whole", "milli"),
    [
        ("500m", 1, 500),
        ("1", 1, 1000),
        ("1500m", 2, 1500),
        ("1n", 1, 1),
        ("-500m", 0, -500),
        ("-1500m", -1, -1500),
        ("0", 0, 0),
        ("2Gi", 2**31, 2**31 * 1000),
        (2.5, 3, 2500),
    ],
)
def test_whole_units_and_thousandths_are_rounded_up(text, whole, milli):
    assert quantity_value(text) == whole
    assert quantity_milli(text) == milli


@given(st.integers(-(10**15), 10**15))
def test_an_integer_is_itself_in_every_spelling(number):
    assert quantity_value(number) == quantity_value(str(number)) == quantity_value(f"{number * 1000}m") == number


@given(st.text(alphabet="0123456789.+-eEkKmMGiun", max_size=12))
def test_any_text_is_read_or_refused_by_ValueError(text):
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert quantity_value(text) - 1 < value <= quantity_value(text)
