"""The weight that OCI runtimes make of CPU shares; how texts are read and written is tested through `form` (test_spelling.py)."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.text import shares, weights
from koordnri.model import fields


@pytest.mark.parametrize(
    ("amount", "linear", "curved"), [(2, 1, 1), (100, 4, 17), (512, 20, 59), (1024, 39, 100), (262_144, 10_000, 10_000)]
)
def test_either_runcs_weight_is_the_shares_and_their_neighbours_are_not(amount: int, linear: int, curved: int) -> None:
    """Weights: 512 as measured with runc 1.1 and 1.3.6; minimum, default and maximum as the new formula was made for."""
    same = shares(fields.CPU_SHARES, 2)
    assert {linear, curved} <= weights(amount)
    accepted = {w for w in range(1, 10_001) if same.alike(amount, same.parse(str(w), ""))}
    assert accepted == weights(amount)
    # Where the curve meets a whole number, libraries round differently.
    assert len(accepted) <= 3
