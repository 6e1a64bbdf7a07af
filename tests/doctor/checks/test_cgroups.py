"""cgroups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.doctor.well import WELL, codes


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": None}, ["KN0401"]),
        ({"version": 1}, ["KN0402"]),
        ({"controllers": frozenset({"cpu", "memory", "io"})}, ["KN0403"]),
        ({"controllers": frozenset()}, ["KN0403"] * 4),
        ({"controllers": None}, []),
        ({"read_only": True}, ["KN0404"]),
        ({"writable": False}, ["KN0404"]),
        ({"both_drivers": True}, ["KN0405"]),
    ],
)
def test_cgroups(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, cgroups=replace(WELL.cgroups, **changed))) == expected
