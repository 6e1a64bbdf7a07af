"""Texts of files with a line per disk."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup import disk_text
from koordnri.model import fields

TEXT = "8:0 rbps=1048576 wbps=max riops=max wiops=120\n8:16 rbps=max wbps=max riops=5 wiops=max\n"


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        ("8:0", "rbps=1048576 wbps=max riops=max wiops=120"),
        ("8:16", "rbps=max wbps=max riops=5 wiops=max"),
        ("8:32", fields.IO_MAX.neutral),
        ("8:1", fields.IO_MAX.neutral),  # the beginning of 8:16 is another disk
    ],
)
def test_a_disk_has_its_line_or_the_neutral_value(disk: str, expected: str) -> None:
    assert disk_text.limits(fields.IO_MAX, 2).parse(TEXT, disk) == expected


def test_only_the_named_limits_are_written() -> None:
    assert disk_text.limits(fields.IO_MAX, 2).spell("rbps=5 wiops=max", "8:0", TEXT) == "8:0 rbps=5 wiops=max"


@pytest.mark.parametrize("value", ["", "rbps", "rbps=-1", "speed=5"])
def test_a_text_that_is_no_limit_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        disk_text.limits(fields.IO_MAX, 2).spell(value, "8:0", TEXT)


def test_what_is_not_named_may_have_any_value() -> None:
    same = disk_text.limits(fields.IO_MAX, 2).alike
    assert same("rbps=1048576", "rbps=1048576 wbps=max riops=max wiops=120")
    assert not same("rbps=1048577", "rbps=1048576 wbps=max riops=max wiops=120")


def test_parameters_that_the_kernel_chooses_are_not_written() -> None:
    words = disk_text.words(fields.IO_COST_QOS, 2)
    assert words.spell("enable=1 ctrl=auto rpct=95.00", "8:0", "") == "8:0 enable=1 ctrl=auto"
    assert words.spell("enable=1 ctrl=user rpct=95.00", "8:0", "") == "8:0 enable=1 ctrl=user rpct=95.00"
