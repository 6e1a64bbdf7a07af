"""The daemon's pages, as it serves them."""

import math
from typing import Any

import pytest

from koordnri.doctor.daemon_pages import daemon_facts
from koordnri.doctor.facts import Daemon

METRICS = """# HELP koordnri_runtime_info x
# TYPE koordnri_runtime_info gauge
koordnri_runtime_info{name="v2",nri="0.8.0",version="v2.0.5"} 1.0
# TYPE koordnri_events_total counter
koordnri_events_total{event="CreateContainer",outcome="ok"} 90.0
koordnri_events_total{event="CreateContainer",outcome="late"} 2.0
koordnri_events_total{event="UpdateContainer",outcome="late"} 1.0
# TYPE koordnri_chain_overruns_total counter
koordnri_chain_overruns_total 4.0
# TYPE koordnri_hook_duration_seconds histogram
koordnri_hook_duration_seconds_bucket{hook="cpuset",le="0.001"} 9989.0
koordnri_hook_duration_seconds_bucket{hook="cpuset",le="0.01"} 9990.0
koordnri_hook_duration_seconds_bucket{hook="cpuset",le="+Inf"} 10000.0
koordnri_hook_duration_seconds_bucket{hook="gpu",le="0.001"} 5.0
koordnri_hook_duration_seconds_bucket{hook="gpu",le="0.01"} 5.0
koordnri_hook_duration_seconds_bucket{hook="gpu",le="+Inf"} 5.0
koordnri_hook_duration_seconds_bucket{hook="idle",le="+Inf"} 0.0
"""


def test_metrics_give_runtime_lateness_and_latency() -> None:
    facts = daemon_facts({"refused": None}, "ok\n", METRICS)
    assert facts == Daemon(
        running=True, runtime_name="v2", runtime_version="v2.0.5", late_events=3, overruns=4, hooks_p999_s=0.011
    )
    assert facts.is_registered


def test_hooks_slower_than_the_last_bound_take_no_known_time() -> None:
    slow = METRICS.replace('"0.01"} 9990.0', '"0.01"} 9989.0')
    assert daemon_facts({}, None, slow).hooks_p999_s == math.inf


def test_before_the_first_event_nothing_is_measured() -> None:
    facts = daemon_facts({}, None, "# TYPE koordnri_runtime_info gauge\n")
    assert facts == Daemon(running=True)
    assert not facts.is_registered


@pytest.mark.parametrize(
    ("policy", "readiness", "ready", "warnings"),
    [
        ({}, None, (), ()),
        ({}, "ok\nwarning: state: full\n", (), ("state: full",)),
        ({"refused": {}}, "ok\n", (), ()),
        ({"refused": {"x": 1}}, "not ready: policy: bad\n", ("policy: bad",), ()),
        ({"refused": {"x": 1}}, "ok\nwarning: policy: bad\n", (), ("policy: bad",)),
        (
            {"refused": {"x": 1}},
            None,
            (),
            ("policy: the newest one is refused, the last good one stays in force; see /v1/policy",),
        ),
    ],
)
def test_readiness_and_a_refused_policy_are_reported_once(
    policy: Any, readiness: str | None, ready: tuple[str, ...], warnings: tuple[str, ...]
) -> None:
    facts = daemon_facts(policy, readiness, None)
    assert (facts.ready, facts.warnings) == (ready, warnings)
