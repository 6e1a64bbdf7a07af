"""Evicts a noisy neighbour: `noisyNeighbour: evict`.

Of the suspects of a finding, the first that the rules of eviction allow: a BE pod, or a pod with the label
`koordinator.sh/eviction-enabled: "true"` and a priority up to `evictEnabledPriorityThreshold`. One pod at a time: whether that was enough
shows in later windows.
"""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.control.finding import Cause, Finding
from koordnri.control.signals import PodSignals, Signals
from koordnri.control.victims import Feature, Need, best_effort, by_priority
from koordnri.policy.policy import Policy

_TARGET = "noisy neighbour"


def neighbour_needs(findings: Iterable[Finding], signals: Signals, policy: Policy) -> list[Need]:
    """One need for all: one pod of any finding's suspects, the worst first."""
    needs = []
    for found in findings:
        if found.cause is Cause.NEIGHBOUR and (candidates := _candidates(found, signals, policy)):
            victim = found.victim
            why = f"{victim.namespace}/{victim.name} {found}"
            needs.append(Need(Feature.NOISY_NEIGHBOUR, _TARGET, 1.0, why, _one, candidates))
    return needs


def _candidates(found: Finding, signals: Signals, policy: Policy) -> list[PodSignals]:
    pods = [signals.pods[one.uid] for one in found.suspects if one.uid in signals.pods]
    return [pod for pod in pods if _may_be_evicted(pod, policy)]


def _may_be_evicted(pod: PodSignals, policy: Policy) -> bool:
    feature, threshold = Feature.NOISY_NEIGHBOUR, policy.threshold.evict_enabled_priority_threshold
    return bool(
        best_effort([pod], policy, feature, _one)
        or (threshold is not None and by_priority([pod], policy, feature, threshold, _one))
    )


def _one(pod: PodSignals) -> float:
    """What an evicted pod releases: one noisy neighbour."""
    return 1.0
