"""The slowest annotations that are short enough to be read cost a bounded amount of work on the event path."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from koordnri.chain import Chain, load_hooks
from koordnri.model.annotations import MAX_CHARACTERS
from tests.hooks.worst_annotations import Worst, decide, worst_annotations

MOST_CALLS = 150_000
"""Calls and returns, of Python's and C's functions, for one container and its pod: 7 ms. They are counted, as a time would depend
on the machine."""
ALL = worst_annotations()


@pytest.mark.parametrize("worst", ALL, ids=[one.name for one in ALL])
def test_the_worst_annotation_costs_a_bounded_number_of_calls(worst: Worst) -> None:
    assert MAX_CHARACTERS - 60 < len(worst.text) <= MAX_CHARACTERS
    chain, one = Chain(load_hooks()), worst.pod()
    calls = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        errors = decide(chain, one)
    finally:
        sys.setprofile(before)
    assert calls < MOST_CALLS
    assert {error.fault for error in errors} <= {"pod"}
