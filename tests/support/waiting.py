"""Waiting for what another thread or process does. A test waits for a condition, never for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 30.0
"""Only what never happens takes so long. It is generous: the virtual machine is ten times slower."""

_PAUSES_S = 0.005, 0.1
"""The first pause between two questions and the longest: whoever asks takes the CPU from whom it waits for."""

T = TypeVar("T")


def eventually(check: Callable[[], T], what: str, timeout_s: float = PATIENCE_S) -> T:
    """Ask until `check` answers something true, and return that.

    Raises AssertionError after `timeout_s`, with the last answer or the last AssertionError or OSError of `check`.
    """
    begin = time.monotonic()
    first_s, longest_s = _PAUSES_S
    while True:
        last: object
        try:
            answer = check()
            if answer:
                return answer
            last = answer
        except (AssertionError, OSError) as error:
            last = error
        waited_s = time.monotonic() - begin
        if waited_s > timeout_s:
            raise AssertionError(f"{what}: not so within {timeout_s} s; last: {last!r}")
        time.sleep(min(longest_s, first_s + waited_s / 10))
