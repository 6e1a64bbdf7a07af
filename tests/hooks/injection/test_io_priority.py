"""I/O priority by annotation."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = injection.IO_PRIORITY.keys[0]


def test_class_and_priority_are_sent() -> None:
    decision = decide({KEY: {"class": "IOPRIO_CLASS_RT", "priority": 3}})
    assert shown(decision) == {"io_priority": "IOPRIO_CLASS_RT 3"}
    wanted = {"class": api.IOPRIO_CLASS_RT, "priority": 3}
    assert sent(decision) == api.ContainerAdjustment(linux={"io_priority": wanted})


def test_nothing_is_nothing() -> None:
    assert not decide({KEY: "null"}).settings


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"class": "IOPRIO_CLASS_RT", "priority": 8}, "priority: expected 0 to 7, got 8"),
        (
            {"class": "rt"},
            'class: expected one of IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, got "rt"',
        ),
    ],
)
def test_what_the_kernel_does_not_know_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem
