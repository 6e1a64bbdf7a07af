"""What the running daemon reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.doctor.facts import DaemonFacts
from tests.doctor.well import WELL, codes


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        (DaemonFacts(), ["KN0901"]),
        (DaemonFacts(problem="no answer"), ["KN0902"]),
        (DaemonFacts(running=True, problems=("runtime: not connected",)), ["KN0903"]),
        (DaemonFacts(running=True, warnings=("state: full",)), ["KN0904"]),
    ],
)
def test_the_daemon(daemon: DaemonFacts, expected: list[str]) -> None:
    assert codes(replace(WELL, daemon=daemon)) == expected
