"""A history in memory."""

from __future__ import annotations

from itertools import count

import pytest

from koordnri.state.history import History
from tests.state.recorded import SNAPSHOT


@pytest.fixture
def history() -> History:
    clock = count(1000)
    return History(SNAPSHOT, clock=lambda: float(next(clock)))
