"""What the running daemon reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from koordnri.doctor.facts import Daemon
from tests.doctor.well import WELL, codes


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        (Daemon(), ["KN0901"]),
        (Daemon(problem="no answer"), ["KN0902"]),
        (Daemon(running=True, problems=("runtime: not connected",)), ["KN0903"]),
        (Daemon(running=True, warnings=("state: full",)), ["KN0904"]),
    ],
)
def test_the_daemon(daemon: Daemon, expected: list[str]) -> None:
    assert codes(replace(WELL, daemon=daemon)) == expected
