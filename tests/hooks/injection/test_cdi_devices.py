"""CDI devices by annotation."""

from __future__ import annotations

import pytest
from koordnri_hooks.injection.cdi_devices import MOST_DEVICES

from koordnri.model import NodeState, fields, injection
from tests.hooks.injection.one_injection import decide, mistake, other, sent, shown
from tests.hooks.one_hook import faults

KEY = injection.CDI_DEVICES.keys[0]
NAMES = ["nvidia.com/gpu=0", "vendor0.com/a_b-c=x.y:z"]


def test_devices_are_given_by_name() -> None:
    decision = decide({KEY: NAMES})
    assert shown(decision) == {f"injected.cdi[{name}]": name for name in NAMES}
    assert [device.name for device in sent(decision).CDI_devices] == NAMES


@pytest.mark.parametrize("name", ["gpu=0", "nvidia.com/gpu", "nvidia.com/gpu=", "1.com/gpu=0", "nvidia.com/g pu=0", ""])
def test_what_is_no_name_of_a_device_is_named(name: str) -> None:
    assert mistake(KEY, [name]) == f'[0]: expected a CDI device such as vendor.com/class=name, got "{name}"'


def test_a_list_has_an_end_and_no_device_twice() -> None:
    assert mistake(KEY, [NAMES[0]] * 2) == f'[1]: expected each one once, got "{NAMES[0]}" twice'
    assert mistake(KEY, NAMES * MOST_DEVICES).startswith("expected at most 256 devices, got 512")


def test_a_device_that_the_scheduler_gives_is_not_given_twice() -> None:
    decision = decide({KEY: [NAMES[0]]}, before=[other(fields.CDI, "0,1", "nvidia.com/gpu")])
    assert faults(decision) == [("pod", f'annotation {KEY}: [0]: "{NAMES[0]}" is given by the scheduler already')]


def test_a_runtime_that_drops_them_is_an_error() -> None:
    decision = decide({KEY: NAMES[:1]}, node=NodeState(no_cdi="containerd 1.7.24 drops CDI devices of plugins"))
    message = f"annotation {KEY}, injected.cdi[{NAMES[0]}]: containerd 1.7.24 drops CDI devices of plugins"
    assert faults(decision) == [("node", message)]
