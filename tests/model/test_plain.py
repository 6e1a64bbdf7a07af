"""A field's value in JSON."""

from __future__ import annotations

import json

import pytest

from koordnri.model.fields import Device, Mount, Part
from koordnri.model.plain import plain_value


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (5, 5),
        ("2-3", "2-3"),
        (
            Mount("/usr/lib/x", "bind", ("ro",)),
            {"source": "/usr/lib/x", "type": "bind", "options": ["ro"]},
        ),
        (Part("9 (hard 9)", {"rlimits": []}), "9 (hard 9)"),
        (Device("c", 195, 0, 0o666), {"type": "c", "major": 195, "minor": 0, "fileMode": 0o666}),
    ],
)
def test_a_value_can_be_written_as_json(value: object, plain: object) -> None:
    assert plain_value(value) == plain
    json.dumps(plain)
