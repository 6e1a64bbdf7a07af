"""The removal marker."""

from __future__ import annotations

import pytest

from koordnri.wire.optional import removal, split_removal


@pytest.mark.parametrize(
    ("key", "expected"), [("-FOO", ("FOO", True)), ("FOO", ("FOO", False)), ("-", ("", True)), ("", ("", False))]
)
def test_removal_marker(key, expected):
    assert split_removal(key) == expected
    assert split_removal(removal(key)) == (key, True)
