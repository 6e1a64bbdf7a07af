"""From the running daemon's answers (`/v1/status`, `/v1/metrics`) to facts. Pure; koordnri.cli.doctor fetches them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from koordnri.doctor.facts import DaemonFacts

_SHARE = 0.999


def daemon_facts(status: Mapping[str, Any], metrics: str | None) -> DaemonFacts:
    """What a running daemon reports.

    status   the answer of `/v1/status`
    metrics  the text of its metrics; None: it does not give them
    """
    samples = {} if metrics is None else _samples(metrics)
    return DaemonFacts(
        running=True,
        problems=tuple(status["problems"]),
        warnings=tuple(status["warnings"]),
        required_hooks=tuple(status["runtime"]["required"]["hooks"]),
        refuses_unanswered=status["runtime"]["required"]["refusesUnanswered"],
        runtime_name=status["runtime"]["name"],
        runtime_version=status["runtime"]["version"],
        late_events=_sum(samples, "koordnri_events_total", outcome="late"),
        overruns=_sum(samples, "koordnri_chain_overruns_total"),
        hooks_p999_s=_hooks_p999_s(samples.get("koordnri_hook_duration_seconds_bucket", [])),
    )


Samples = list[tuple[dict[str, str], float]]
"""labels and value of each sample of one name"""


def _samples(text: str) -> dict[str, Samples]:
    found: defaultdict[str, Samples] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append((sample.labels, sample.value))
    return found


def _sum(samples: dict[str, Samples], name: str, **labels: str) -> int | None:
    values = [value for its, value in samples.get(name, []) if labels.items() <= its.items()]
    return int(sum(values)) if name in samples else None


def _hooks_p999_s(buckets: Samples) -> float | None:
    """The sum over the hooks of the bound (s) that 99.9 % of their runs stay within; None before the first run."""
    by_hook: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets:
        by_hook[labels["hook"]].append((float(labels["le"]), count))
    bounds = []
    for counts in by_hook.values():
        counts.sort()
        total = counts[-1][1]
        if total:
            bounds.append(next(bound for bound, count in counts if count >= _SHARE * total))
    return math.fsum(bounds) if bounds else None
