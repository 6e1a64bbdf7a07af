"""The runtime's request timeout against the time that koordnri takes."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.checks.runtime import nri_lines
from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import CRIO, Facts
from koordnri.session.runtime_info import DEFAULT_REQUEST_TIMEOUT_S

HOOKS_SHARE = 4
"""The hooks have a quarter of the timeout. After that the daemon answers with what has been decided so far."""


def check(facts: Facts) -> Iterator[Finding]:
    """Timeouts and latency."""
    daemon, config = facts.daemon, facts.runtime.config
    longer = nri_lines(facts.runtime, (_line(facts, 2 * DEFAULT_REQUEST_TIMEOUT_S),))
    timeout_s = DEFAULT_REQUEST_TIMEOUT_S
    if config is not None and config.request_timeout_s is not None:
        timeout_s = config.request_timeout_s
    if late := (daemon.late_events or 0) + (daemon.overruns or 0):
        yield Finding(
            "KN0201",
            "koordnri_events_total, koordnri_chain_overruns_total",
            f"{late} events since the daemon's start were answered late or incomplete",
            "koordnri_hook_duration_seconds shows the slow hook; if all are slow, the daemon lacks CPU time: give it no CPU limit. "
            f"A longer timeout helps meanwhile:\n{longer}",
        )
    measured_s = daemon.hooks_p999_s
    if measured_s is not None and measured_s > timeout_s / HOOKS_SHARE:
        yield Finding(
            "KN0202",
            "koordnri_hook_duration_seconds",
            f"the hooks take up to {_ms(measured_s)} ms; of the timeout of {_ms(timeout_s)} ms they have a quarter",
            longer,
        )
    if config is not None and timeout_s < DEFAULT_REQUEST_TIMEOUT_S:
        yield Finding(
            "KN0203",
            config.path,
            f"a plugin that does not answer within {_ms(timeout_s)} ms is disconnected, and the container starts without it; "
            f"the default is {_ms(DEFAULT_REQUEST_TIMEOUT_S)} ms",
            nri_lines(facts.runtime, (_line(facts, DEFAULT_REQUEST_TIMEOUT_S),)),
        )


def _line(facts: Facts, timeout_s: float) -> str:
    key = "nri_plugin_request_timeout" if facts.runtime.kind == CRIO else "plugin_request_timeout"
    return f'{key} = "{timeout_s:g}s"'


def _ms(time_s: float) -> str:
    return f"{time_s * 1000:.0f}" if time_s < 1e9 else "more than 1000"
