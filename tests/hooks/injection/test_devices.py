"""Device nodes by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.injection.devices import MOST_DEVICES

from koordnri.model import Device, fields, injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, other, sent, shown
from tests.hooks.one_hook import faults

KEY = injection.DEVICES.keys[0]
NULL = {"path": "/dev/null", "type": "c", "major": 1, "minor": 3}


def test_a_device_is_given_as_it_is_written() -> None:
    whole = NULL | {"file_mode": 0o640, "uid": 5, "gid": 6}
    decision = decide({KEY: [NULL | {"path": "/dev/a"}, whole]})
    assert shown(decision) == {
        "injected.device[/dev/a]": "c 1:3",
        "injected.device[/dev/null]": "c 1:3 mode 0640 uid 5 gid 6",
    }
    numbers = {"file_mode": {"value": 0o640}, "uid": {"value": 5}, "gid": {"value": 6}}
    bare = {"path": "/dev/a", "type": "c", "major": 1, "minor": 3}
    assert sent(decision) == api.ContainerAdjustment(linux={"devices": [bare, NULL | numbers]})


def test_yaml_is_read_as_the_sample_plugin_reads_it() -> None:
    text = "- path: /dev/nvidia0\n  type: c\n  major: 195\n  Minor: 0\n  file_mode: 0660\n  unknown: ignored\n"
    assert shown(decide({KEY: text})) == {"injected.device[/dev/nvidia0]": "c 195:0 mode 0660"}


@pytest.mark.parametrize("text", ["", "[]", "null", "[null]"])
def test_a_list_of_nothing_gives_nothing(text: str) -> None:
    decision = decide({KEY: text})
    assert (decision.settings, decision.errors) == ({}, ())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([NULL | {"path": "dev/null"}], '[0].path: expected an absolute path, got "dev/null"'),
        ([NULL, NULL | {"path": "/dev/b", "type": "char"}], '[1].type: expected one of b, c, u, p, got "char"'),
        ([NULL | {"major": -1}], "[0].major: expected 0 to 2147483647, got -1"),
        ([NULL | {"minor": 1 << 40}], "[0].minor: expected 0 to 2147483647, got 1099511627776"),
        ([NULL | {"file_mode": 0o10000}], "[0].file_mode: expected 0 to 4095, got 4096"),
        ([NULL | {"uid": -1}], "[0].uid: expected 0 to 4294967295, got -1"),
        ([NULL, NULL], '[1].path: expected each one once, got "/dev/null" twice'),
        ([NULL] * (MOST_DEVICES + 1), "expected at most 256 devices, got 257"),
    ],
)
def test_a_device_that_a_runtime_would_refuse_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem


def test_a_device_that_another_hook_gives_is_not_given_twice() -> None:
    decision = decide({KEY: [NULL]}, before=[other(fields.DEVICE, Device("c", 1, 3), "/dev/null")])
    assert list(decision.settings) == ["device[/dev/null]"]
    assert faults(decision) == [("pod", f'annotation {KEY}: [0].path: "/dev/null" is set by the hook gpu (scheduler)')]
