"""What changed between two wishes."""

from __future__ import annotations

import pytest

from koordnri.control.actuations import actuations, reason, summary
from koordnri.model import CPUSet
from koordnri.model.control import NO_CONTROL, Control, Wanted


def cpus(text: str) -> Control:
    return Control(be_cpus=Wanted(CPUSet.parse(text), "services need CPUs"))


def quota(us: int) -> Control:
    return Control(be_quota_us=Wanted(us, "x"))


def burst(**us: int) -> Control:
    return Control(quotas_us={name: Wanted(value, "throttled") for name, value in us.items()})


def high(**size: int) -> Control:
    return Control(memory_high_bytes={name: Wanted(value, "short") for name, value in size.items()})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NO_CONTROL, NO_CONTROL, {}),
        (NO_CONTROL, cpus("0-1"), {"down": 1}),
        (cpus("0-1"), cpus("0-3"), {"up": 1}),
        (cpus("0-1"), cpus("2-3"), {"moved": 1}),
        (cpus("0-1"), NO_CONTROL, {"up": 1}),
        (quota(50), quota(20), {"down": 1}),
        (NO_CONTROL, burst(a=5, b=6), {"up": 2}),
        (burst(a=5, b=6), burst(a=6, b=6), {"up": 1}),
        (burst(a=5), NO_CONTROL, {"down": 1}),
        (NO_CONTROL, high(a=5), {"down": 1}),
        (high(a=5, b=5), high(a=4, b=6), {"down": 1, "up": 1}),
    ],
)
def test_values_move_up_down_or_elsewhere(before, after, expected):
    assert actuations(before, after) == expected


def test_a_summary_has_values_of_all_best_effort_work_and_numbers_of_containers():
    assert summary(cpus("0-1")) == {"be_cpus": "0-1"}
    assert summary(burst(a=1, b=2)) == {"quotas": 2}
    assert summary(NO_CONTROL) == {}
    assert reason(burst(a=1)) == "throttled"
    assert reason(NO_CONTROL) == ""
