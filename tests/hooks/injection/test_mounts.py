"""Mounts by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.injection.mounts import MOST_MOUNTS

from koordnri.model import Mount, fields, injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, other, sent, shown
from tests.hooks.one_hook import faults

KEY = injection.MOUNTS.keys[0]
DATA = {"source": "/srv/data", "destination": "/data", "type": "bind", "options": ["rbind", "ro"]}


def test_a_mount_is_made_as_it_is_written() -> None:
    decision = decide({KEY: [DATA]})
    assert shown(decision) == {"injected.mount[/data]": "bind /srv/data rbind,ro"}
    assert sent(decision) == api.ContainerAdjustment(mounts=[DATA])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([DATA | {"destination": "data"}], '[0].destination: expected an absolute path, got "data"'),
        ([DATA | {"source": ""}], "[0].source: expected what is mounted, it is empty"),
        ([DATA, DATA], '[1].destination: expected each one once, got "/data" twice'),
        ([{}] * (MOST_MOUNTS + 1), "expected at most 256 mounts, got 257"),
    ],
)
def test_a_mount_that_a_runtime_would_refuse_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem


def test_a_mount_of_another_hook_is_not_made_twice() -> None:
    decision = decide({KEY: [DATA]}, before=[other(fields.MOUNT, Mount("/x"), "/data")])
    assert [message for _, message in faults(decision)] == [
        f'annotation {KEY}: [0].destination: "/data" is set by the hook gpu (scheduler)'
    ]
