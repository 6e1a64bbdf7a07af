"""The daemon's pages, as it serves them."""

import math
from typing import Any

from koordnri.doctor.daemon_pages import daemon_facts
from koordnri.doctor.facts import DaemonFacts

METRICS = """# TYPE koordnri_events_total counter
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


REQUIRED = {"hooks": ["gpu"], "refusesUnanswered": True}


def status(name: str = "v2", version: str = "v2.0.5", **more: Any) -> dict[str, Any]:
    return {"problems": [], "warnings": [], "runtime": {"name": name, "version": version, "required": REQUIRED}} | more


def test_metrics_give_lateness_and_latency() -> None:
    facts = daemon_facts(status(), METRICS)
    assert facts == DaemonFacts(
        running=True,
        required_hooks=("gpu",),
        refuses_unanswered=True,
        runtime_name="v2",
        runtime_version="v2.0.5",
        late_events=3,
        overruns=4,
        hooks_p999_s=0.011,
    )
    assert facts.is_registered


def test_hooks_slower_than_the_last_bound_take_no_known_time() -> None:
    slow = METRICS.replace('"0.01"} 9990.0', '"0.01"} 9989.0')
    assert daemon_facts(status(), slow).hooks_p999_s == math.inf


def test_before_the_first_event_nothing_is_measured() -> None:
    facts = daemon_facts(status("", ""), "# TYPE koordnri_x gauge\n")
    assert facts == DaemonFacts(running=True, required_hooks=("gpu",), refuses_unanswered=True)
    assert not facts.is_registered


def test_a_daemon_that_does_not_listen_has_its_status_only() -> None:
    facts = daemon_facts(status("", "", problems=["runtime: x"], warnings=["state: full"]), None)
    assert facts == DaemonFacts(
        running=True,
        required_hooks=("gpu",),
        refuses_unanswered=True,
        problems=("runtime: x",),
        warnings=("state: full",),
    )
