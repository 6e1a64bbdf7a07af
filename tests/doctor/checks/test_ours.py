"""What koordnri itself needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.doctor.diagnose import diagnose
from tests.doctor.well import WELL, codes


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"uid": 1000}, ["KN0701"]),
        ({"state_problem": "/x is mounted read-only"}, ["KN0702"]),
        ({"host_found": False}, ["KN0703"]),
    ],
)
def test_what_koordnri_needs(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, ours=replace(WELL.ours, **changed))) == expected


def test_a_malformed_file_of_the_host_is_named() -> None:
    (finding,) = diagnose(replace(WELL, problems=('/proc/meminfo: expected a number, got "x"',)))
    assert (finding.code, finding.object, finding.cause) == ("KN0704", "/proc/meminfo", 'expected a number, got "x"')
