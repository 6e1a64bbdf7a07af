"""How much memory is to be released by eviction, and by which pods. Pure. Source: koordlet's memoryevict."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.control.evict_allocatable import memory_allocatable_needs
from koordnri.control.evict_cpu import aim_percent
from koordnri.control.memory_high import at_own_bound, pressure_without
from koordnri.control.signals import PodSignals, Signals
from koordnri.control.victims import Feature, Need, best_effort, by_priority
from koordnri.policy.policy import Policy

_USED = "memory used"
_RELIEF = "memory pressure"
_GIB = 1 << 30


def memory_needs(signals: Signals, policy: Policy) -> list[Need]:
    """What is to be released now, in koordlet's order: BE, then requests beyond what is allocatable, then the node's usage."""
    return [
        *_by_usage(signals, policy, Feature.BE_MEMORY),
        *memory_allocatable_needs(signals, policy),
        *_by_usage(signals, policy, Feature.MEMORY),
    ]


def pressure_needs(signals: Signals, policy: Policy) -> list[Need]:
    """One BE pod, while threads of the node wait for memory and no pod is leaving. Pods that wait at a bound of their own do not count:
    evicting another one gives them nothing.
    """
    percent, pressure = policy.controllers.evict.memory_pressure_percent, pressure_without(signals, at_own_bound)
    if percent is None or pressure is None or pressure < percent:
        return []
    why = (
        f"some thread of the node waited for memory in {pressure:.0f} % of the last 10 s, at least memoryPressurePercent {percent}: a "
        "best-effort pod is to be released"
    )
    feature = Feature.BE_MEMORY_PRESSURE
    return [
        Need(feature, _RELIEF, 1, why, _counts, best_effort(signals.pods.values(), policy, feature, _used_bytes)),
    ]


def _by_usage(signals: Signals, policy: Policy, feature: Feature) -> Iterator[Need]:
    threshold, capacity, used = policy.threshold, signals.memory_capacity_bytes, signals.node.memory_bytes
    percent, lower = threshold.memory_evict_threshold_percent, threshold.memory_evict_lower_percent
    if used is None or capacity <= 0 or used < capacity * percent / 100:
        return
    highest = threshold.evict_enabled_priority_threshold
    if feature is Feature.BE_MEMORY:
        candidates = best_effort(signals.pods.values(), policy, feature, _used_bytes)
    elif highest is not None:
        candidates = by_priority(signals.pods.values(), policy, feature, highest, _used_bytes)
    else:
        return
    release = used - capacity * aim_percent(percent, lower) / 100
    yield Need(
        feature,
        _USED,
        release,
        f"the node uses {_gib(used)} of {_gib(capacity)} of memory, at least memoryEvictThresholdPercent {percent}: {_gib(release)} are to "
        "be released",
        _used_bytes,
        candidates,
    )


def _used_bytes(pod: PodSignals) -> float:
    return float(pod.load.memory_bytes or 0)


def _counts(pod: PodSignals) -> float:
    return 1.0 if pod.load.memory_bytes else 0.0


def _gib(amount: float) -> str:
    return f"{amount / _GIB:.2f} GiB"
