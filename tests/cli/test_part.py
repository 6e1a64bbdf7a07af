"""Whether a container has what an adjustment puts into it."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.outcome import value_in
from koordnri.cli.part import has_part
from koordnri.model import NodeState, Setting, fields
from koordnri.model.fields import Part
from koordnri.model.routes import ADJUST
from koordnri.wire import api_pb2 as api
from tests.support.messages import container

DEVICE = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3}


def spec() -> api.Container:
    made = container(env=["A=1"])
    made.rlimits.add(type="RLIMIT_NOFILE", soft=5, hard=6)
    made.linux.devices.add(**DEVICE)
    made.linux.sysctl["net.ipv4.ip_forward"] = "1"
    return made


@pytest.mark.parametrize(
    ("content", "is_there"),
    [
        ({"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 6}]}, True),
        ({"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 7}]}, False),
        ({"linux": {"devices": [DEVICE]}}, True),
        ({"linux": {"devices": [DEVICE | {"minor": 4}]}}, False),
        ({"linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}}, True),
        ({"linux": {"sysctl": {"net.ipv4.ip_forward": "0"}}}, False),
        ({"linux": {"sysctl": {"net.core.somaxconn": "1"}}}, False),
        ({"env": [{"key": "A", "value": "1"}]}, True),
        ({"env": [{"key": "A", "value": "2"}]}, False),
        ({"linux": {"memory_policy": {"nodes": "0"}}}, True),  # a container does not show it
    ],
)
def test_a_part_is_looked_for_under_its_own_names(content: dict[str, Any], is_there: bool) -> None:
    part = Part("text", content)
    assert has_part(spec(), part) is is_there
    setting = Setting(fields.RLIMIT, "k", part, "injection", "because", ADJUST)
    assert value_in(spec(), setting, NodeState()) == (part if is_there else None)
