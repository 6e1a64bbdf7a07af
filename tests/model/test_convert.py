"""Milli-cores, shares, quota and weight. `v1` in a test's name is row 1 of Koordinator's own vectors (koordinator.md 11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model.convert import milli_to_quota_us, milli_to_shares, shares_to_weight


@pytest.mark.parametrize(
    ("milli", "shares"),
    [
        pytest.param(0, 2, id="v1-none"),
        pytest.param(500, 512, id="v1-half"),
        pytest.param(1000, 1024, id="v1-one"),
        pytest.param(10**9, 262_144, id="v1-most"),
        (-1, 2),
        (1, 2),
        (3, 3),
        (2, 2),
    ],
)
def test_milli_cores_to_shares(milli, shares):
    assert milli_to_shares(milli) == shares


@pytest.mark.parametrize(
    ("milli", "quota_us"),
    [
        pytest.param(500, 50_000, id="v2-half"),
        pytest.param(1500, 150_000, id="v2-one-and-a-half"),
        pytest.param(0, -1, id="v2-none"),
        pytest.param(-1, -1, id="v2-negative"),
        pytest.param(5, 1000, id="v2-kernel-minimum"),
        (10, 1000),
        (11, 1100),
    ],
)
def test_milli_cores_to_quota(milli, quota_us):
    assert milli_to_quota_us(milli) == quota_us


def test_quota_goes_by_the_period():
    assert milli_to_quota_us(500, 20_000) == 10_000
    assert milli_to_quota_us(10, 20_000) == 1000


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        pytest.param(s, w, id=f"v3-{s}")
        for s, w in ((2, 1), (1000, 39), (1024, 39), (2000, 77), (50_000, 1908), (262_144, 10_000))
    ],
)
def test_shares_to_weight(shares, weight):
    assert shares_to_weight(shares) == weight


@pytest.mark.parametrize("shares", [pytest.param(0, id="v3-zero"), 1, 262_145, -1])
def test_shares_out_of_range_are_refused(shares):
    with pytest.raises(ValueError, match=rf"cpu\.shares: expected 2\.\.262144, got {shares}"):
        shares_to_weight(shares)


@given(st.integers(0, 300_000), st.integers(0, 300_000))
def test_more_cpu_is_never_less_weight(a, b):
    low, high = sorted((a, b))
    assert milli_to_shares(low) <= milli_to_shares(high)
    assert shares_to_weight(milli_to_shares(low)) <= shares_to_weight(milli_to_shares(high))
