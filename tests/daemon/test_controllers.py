"""Which controllers the daemon has, and how those follow one another that act by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.signals import Load, Signals
from koordnri.daemon.controllers import applications_there, controllers
from koordnri.model import CPUSet, NodeState
from koordnri.model.class_cgroup import HostCgroup
from koordnri.model.control import NO_CONTROL, Control, Wanted
from koordnri.reconcile.host_applications import Found
from tests.support.policies import policy_of

SIGNALS = Signals(0.0, 1.0, CPUSet(), Load(), 0)


class FakeWatch:
    """Finds what the test says."""

    def __init__(self) -> None:
        self.ceiling_milli = None
        self.to_evict = ("found",)
        self.calls: list[str] = []

    def step(self, signals: Any, policy: Any) -> None:
        self.calls.append("step")

    def clear(self) -> None:
        self.calls.append("clear")


class FakeEviction:
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def step(self, signals: Any, policy: Any, node: Any, control: Control, findings: Any) -> None:
        self.calls.append((control, findings))

    def switched_off(self) -> None:
        self.calls.append("off")


def test_eviction_follows_what_others_want_and_what_the_watch_found() -> None:
    watch, eviction = FakeWatch(), FakeEviction()
    kinds = controllers(watch, eviction)  # type: ignore[arg-type]
    assert [kind.name for kind in kinds] == ["noisyNeighbour", "cpuSuppress", "quotaBurst", "memoryHigh", "evict"]
    before = Control(be_quota_us=Wanted(5, "x"))
    for kind in (kinds[0], kinds[-1]):
        assert kind.make()(SIGNALS, policy_of(), NodeState(), before) is NO_CONTROL
        kind.end()
    assert watch.calls == ["step", "clear"]
    assert eviction.calls == [(before, ("found",)), "off"]


@pytest.mark.parametrize(
    ("policy", "watches", "evicts"),
    [
        ({}, "off", "off"),
        ({"koordnri_config": {"controllers": {"noisyNeighbour": "report"}}}, "enforce", "off"),
        ({"koordnri_config": {"controllers": {"evict": {"mode": "observe"}}}}, "off", "off"),
        (
            {
                "koordnri_config": {"controllers": {"evict": {"mode": "observe"}}},
                "resource_threshold_config": {"enable": True},
            },
            "off",
            "observe",
        ),
        (
            {"koordnri_config": {"controllers": {"noisyNeighbour": "evict", "evict": {"mode": "enforce"}}}},
            "enforce",
            "enforce",
        ),
    ],
)
def test_the_policy_switches_them_on(policy: dict[str, Any], watches: str, evicts: str) -> None:
    kinds = controllers(FakeWatch(), FakeEviction())  # type: ignore[arg-type]
    assert (kinds[0].mode(policy_of(**policy), []), kinds[-1].mode(policy_of(**policy), [])) == (watches, evicts)


def test_applications_that_are_left_alone_are_not_measured() -> None:
    found = [Found(0, "LS", HostCgroup("nginx", "host/nginx"), ""), Found(1, "", HostCgroup("x", "x"), "not there")]
    assert applications_there(found) == {"nginx": "host/nginx"}
