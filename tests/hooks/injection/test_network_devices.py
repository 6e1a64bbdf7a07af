"""Network devices by annotation."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = injection.NETWORK_DEVICES.keys[0]


def test_a_device_keeps_its_name_or_gets_another() -> None:
    decision = decide({KEY: [{"hostIf": "eth1", "name": "net0"}, {"hostIf": "eth2"}]})
    assert shown(decision) == {"net_device[eth1]": "net0", "net_device[eth2]": "eth2"}
    assert sent(decision) == api.ContainerAdjustment(linux={"net_devices": {"eth1": {"name": "net0"}, "eth2": {}}})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([{"name": "net0"}], '[0].hostIf: expected the name of a network device, got ""'),
        ([{"hostIf": "eth0", "name": "a/b"}], '[0].name: expected the name of a network device, got "a/b"'),
        ([{"hostIf": "a" * 16}], f'[0].hostIf: expected the name of a network device, got "{"a" * 16}"'),
        ([{"hostIf": ".."}], '[0].hostIf: expected the name of a network device, got ".."'),
        ([{"hostIf": "eth0"}] * 2, '[1].hostIf: expected each one once, got "eth0" twice'),
    ],
)
def test_what_is_no_device_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem
