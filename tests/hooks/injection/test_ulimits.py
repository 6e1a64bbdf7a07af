"""Resource limits of processes by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.injection.ulimits import MOST

from koordnri.model import injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = f"{injection.ULIMITS.keys[0]}/container.main"


@pytest.mark.parametrize("type_", ["nofile", "RLIMIT_NOFILE", "Rlimit_NoFile", "NOFILE"])
def test_a_limit_is_set_by_any_spelling_of_its_name(type_: str) -> None:
    decision = decide({KEY: [{"type": type_, "soft": 1024, "hard": 4096}]})
    assert shown(decision) == {"rlimit[RLIMIT_NOFILE]": "1024 (hard 4096)"}
    limit = {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}
    assert sent(decision) == api.ContainerAdjustment(rlimits=[limit])


def test_the_largest_number_is_no_limit() -> None:
    decision = decide({KEY: [{"type": "memlock", "soft": MOST, "hard": MOST}]})
    assert shown(decision) == {"rlimit[RLIMIT_MEMLOCK]": "unlimited (hard unlimited)"}
    assert sent(decision).rlimits[0].hard == MOST


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([{"type": "NOFILE", "soft": 5, "hard": 4}], "[0].hard: expected at least the soft limit 5, got 4"),
        ([{"type": "NOFILE", "soft": -1, "hard": 4}], f"[0].soft: expected 0 to {MOST}, got -1"),
        ([{"type": "CORE"}, {"type": "rlimit_core"}], '[1].type: expected each one once, got "RLIMIT_CORE" twice'),
    ],
)
def test_a_limit_that_the_kernel_would_refuse_is_named(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem


def test_an_unknown_limit_is_refused_with_those_that_there_are() -> None:
    problem = mistake(KEY, [{"type": "files"}])
    assert problem.startswith("[0].type: expected one of AS, CORE, ")
    assert problem.endswith(', got "files"')
