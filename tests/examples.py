"""How many examples a property test tries: few in `make test`, more in `make test-full`."""

from __future__ import annotations

import os

TIMES = 5 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 1
DEFAULT = 100
"""Hypothesis' own number for a test that names none."""


def examples(count: int) -> int:
    """For `settings(max_examples=...)`: so many in `make test`, TIMES as many in `make test-full`."""
    return count * TIMES
