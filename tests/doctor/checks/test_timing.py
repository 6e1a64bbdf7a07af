"""Timeouts against latency."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.doctor.well import WELL, codes


@pytest.mark.parametrize(
    ("timeout_s", "changed", "expected"),
    [
        (None, {"late_events": 2}, ["KN0201"]),
        (None, {"overruns": 1}, ["KN0201"]),
        (None, {"hooks_p999_s": 0.6}, ["KN0202"]),
        (4.0, {"hooks_p999_s": 0.6}, []),
        (4.0, {"hooks_p999_s": math.inf}, ["KN0202"]),
        (0.5, {}, ["KN0203"]),
        (None, {"late_events": None, "overruns": None, "hooks_p999_s": None}, []),
    ],
)
def test_timeouts_against_latency(timeout_s: float | None, changed: dict[str, Any], expected: list[str]) -> None:
    config = WELL.runtime.config
    assert config is not None
    its = replace(WELL.runtime, config=config._replace(request_timeout_s=timeout_s))
    assert codes(replace(WELL, runtime=its, daemon=replace(WELL.daemon, **changed))) == expected
