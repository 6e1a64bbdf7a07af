"""Scheduling policy by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.injection.scheduling_policy import FLAGS, POLICIES

from koordnri.model import injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = injection.SCHEDULING_POLICY.keys[0]
DEADLINE = {"policy": "SCHED_DEADLINE", "runtime": 10, "deadline": 20, "period": 30}


def test_a_policy_is_sent_with_its_parameters() -> None:
    decision = decide({KEY: DEADLINE | {"flags": ["SCHED_FLAG_RECLAIM"]}})
    assert shown(decision) == {"scheduler": "SCHED_DEADLINE runtime=10 deadline=20 period=30 SCHED_FLAG_RECLAIM"}
    wanted = {
        "policy": api.SCHED_DEADLINE,
        "runtime": 10,
        "deadline": 20,
        "period": 30,
        "flags": [api.SCHED_FLAG_RECLAIM],
    }
    assert sent(decision) == api.ContainerAdjustment(linux={"scheduler": wanted})


def test_the_names_are_those_of_the_message() -> None:
    assert {*POLICIES, "SCHED_NONE"} == set(api.LinuxSchedulerPolicy.keys())
    assert set(FLAGS) == set(api.LinuxSchedulerFlag.keys())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"policy": "SCHED_BATCH", "nice": -20}, "SCHED_BATCH nice=-20"),
        ({"policy": "SCHED_RR", "priority": 99}, "SCHED_RR priority=99"),
        ({"policy": "SCHED_IDLE"}, "SCHED_IDLE"),
    ],
)
def test_each_policy_has_its_own_parameters(value: Any, text: str) -> None:
    assert shown(decide({KEY: value})) == {"scheduler": text}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"policy": "SCHED_FIFO"}, "priority: expected 1 to 99 with SCHED_FIFO, got 0"),
        ({"policy": "SCHED_FIFO", "priority": 1, "nice": 5}, "nice: expected 0 with SCHED_FIFO, got 5"),
        ({"policy": "SCHED_OTHER", "nice": 20}, "nice: expected -20 to 19 with SCHED_OTHER, got 20"),
        ({"policy": "SCHED_OTHER", "priority": 1}, "priority: expected 0 with SCHED_OTHER, got 1"),
        ({"policy": "SCHED_IDLE", "period": 1}, "period: expected 0 with SCHED_IDLE, got 1"),
    ],
)
def test_a_parameter_of_another_policy_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem


def test_unknown_names_are_refused() -> None:
    assert mistake(KEY, {}).startswith("policy: expected one of SCHED_OTHER, ")
    assert mistake(KEY, {"policy": "SCHED_OTHER", "flags": ["X"]}).startswith("flags[0]: expected one of SCHED_FLAG_")
