"""What the sampler's figures show of pods, for the status: who waits, and what memory could be reclaimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from koordnri.control.finding import Finding
from koordnri.control.reclaimable import reclaimable
from koordnri.control.signals import Signals

MOST_SHOWN = 10
"""pods of each list"""


def waits_shape(findings: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """Pods that waited beyond their class' target, those that waited longest first. `used` and `requested` of a suspect: CPUs, bytes, or
    bytes per s, by the resource."""
    worst = sorted(findings, key=lambda found: -found.waited_percent)[:MOST_SHOWN]
    return [
        {
            "pod": f"{found.victim.namespace}/{found.victim.name}",
            "resource": found.resource.value,
            "kind": found.cause.value,
            "waitedPercent": round(found.waited_percent, 1),
            "targetPercent": found.target_percent,
            "suspects": [
                {"pod": one.name, "used": round(one.used, 3), "requested": round(one.requested, 3)}
                for one in found.suspects
            ],
            "text": str(found),
        }
        for found in worst
    ]


def reclaimable_shape(signals: Signals | None) -> Mapping[str, Any] | None:
    """Bytes that could be taken from pods without harm: the sums, and the pods of which most could be. `cachedBytes`: file pages that
    nobody has used for a while. `beyondRequestsBytes`: an upper bound, see koordnri.control.reclaimable. None while no controller measures
    memory.
    """
    if signals is None or all(pod.load.memory_bytes is None for pod in signals.pods.values()):
        return None
    found = reclaimable(signals)
    return {
        "cachedBytes": sum(one.cached for one in found),
        "beyondRequestsBytes": sum(one.beyond for one in found),
        "pods": [
            {
                "pod": f"{one.namespace}/{one.name}",
                "cachedBytes": one.cached,
                "beyondRequestsBytes": one.beyond,
            }
            for one in found[:MOST_SHOWN]
        ],
    }
