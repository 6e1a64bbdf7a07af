"""From the daemon's pages (`/v1/policy`, `/readyz`, `/metrics`) to facts. Pure; koordnri.cli.doctor fetches them."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from koordnri.doctor.facts import Daemon

_SHARE = 0.999
_NOT_READY, _WARNING = "not ready: ", "warning: "


def daemon_facts(policy: Any, readiness: str | None, metrics: str | None) -> Daemon:
    """What a running daemon says.

    policy     the answer of `/v1/policy`
    readiness  the text of `/readyz`; None: not reachable
    metrics    the text of `/metrics`; None: not reachable
    """
    lines = (readiness or "").splitlines()
    ready = tuple(line.removeprefix(_NOT_READY) for line in lines if line.startswith(_NOT_READY))
    warnings = [line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING)]
    if policy.get("refused") and not any(problem.startswith("policy: ") for problem in (*ready, *warnings)):
        warnings.append("policy: the newest one is refused, the last good one stays in force; see /v1/policy")
    if metrics is None:
        return Daemon(running=True, ready=ready, warnings=tuple(warnings))
    samples = _samples(metrics)
    (runtime, _), *_ = samples.get("koordnri_runtime_info") or [({}, 1.0)]
    return Daemon(
        running=True,
        ready=ready,
        warnings=tuple(warnings),
        runtime_name=runtime.get("name", ""),
        runtime_version=runtime.get("version", ""),
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
