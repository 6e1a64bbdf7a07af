"""resctrl, pressure stall information, inotify."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.model.node import Resctrl
from tests.doctor.well import WELL, codes

RESCTRL = Resctrl("intel", 0x7FF, 4, (0,), frozenset({"a", "b", "c"}))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"pressure": False}, ["KN0504"]),
        ({"pressure": None, "inotify_watches": None}, []),
        ({"inotify_watches": 8191}, ["KN0505"]),
        ({"resctrl_supported": True}, ["KN0501"]),
        ({"resctrl_supported": True, "resctrl_mounted": True}, ["KN0502"]),
        (
            {"resctrl_supported": True, "resctrl_mounted": True, "resctrl_writable": True, "resctrl": RESCTRL},
            ["KN0503"],
        ),
        (
            {
                "resctrl_supported": True,
                "resctrl_mounted": True,
                "resctrl_writable": True,
                "resctrl": replace(RESCTRL, groups=frozenset({"LSR", "LS", "BE"})),  # all taken, by ours
            },
            [],
        ),
        (
            {
                "resctrl_supported": True,
                "resctrl_mounted": True,
                "resctrl_writable": True,
                "resctrl": replace(RESCTRL, num_closids=5),
            },
            [],
        ),
    ],
)
def test_the_kernel(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, kernel=replace(WELL.kernel, **changed))) == expected
