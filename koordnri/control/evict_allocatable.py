"""How much of mid and batch resources is to be released, since pods request more than the Node offers. Pure.

Source: koordlet's cpuevict and memoryevict. Each resource is compared with what the Node offers of it, and counted off by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from koordnri.control.class_requests import ClassRequests
from koordnri.control.signals import PodSignals, Signals
from koordnri.control.victims import Feature, Need, by_priority
from koordnri.model.priority import PriorityClass, priority_class, priority_value
from koordnri.policy.policy import Policy

BATCH_CPU_REQUESTED = "batch-cpu requested"
"""the target of needs for batch-cpu"""
_GIB = 1 << 30


class _Offer(NamedTuple):
    """One resource of the Node, for the pods of one priority class."""

    name: str
    whose: PriorityClass
    allocatable: int | None
    """milli-cores or bytes; None: the Node has none, or it is unknown"""


class _Rule(NamedTuple):
    """What the policy says of CPU or of memory."""

    feature: Feature
    key: str
    """of the percent, for messages"""
    percent: int | None
    lower: int | None
    requested: Callable[[ClassRequests], int]
    text: Callable[[float], str]


class _Excess(NamedTuple):
    """One resource of which pods request too much."""

    target: str
    release: float
    why: str
    requests: dict[str, int]
    """uid of each pod that counts → its request"""


def cpu_allocatable_needs(signals: Signals, policy: Policy) -> list[Need]:
    """Of batch-cpu and mid-cpu."""
    threshold = policy.threshold
    rule = _Rule(
        Feature.CPU_ALLOCATABLE,
        "cpuAllocatableEvictThresholdPercent",
        threshold.cpu_allocatable_evict_threshold_percent,
        threshold.cpu_allocatable_evict_lower_percent,
        lambda requests: requests.cpu_milli,
        lambda amount: f"{amount / 1000:.1f} CPUs",
    )
    offers = (
        _Offer("batch-cpu", PriorityClass.BATCH, signals.be_allocatable_milli),
        _Offer("mid-cpu", PriorityClass.MID, signals.mid_allocatable_milli),
    )
    return _needs(signals, policy, rule, offers)


def memory_allocatable_needs(signals: Signals, policy: Policy) -> list[Need]:
    """Of batch-memory and mid-memory."""
    threshold = policy.threshold
    rule = _Rule(
        Feature.MEMORY_ALLOCATABLE,
        "memoryAllocatableEvictThresholdPercent",
        threshold.memory_allocatable_evict_threshold_percent,
        threshold.memory_allocatable_evict_lower_percent,
        lambda requests: requests.memory_bytes,
        lambda amount: f"{amount / _GIB:.2f} GiB",
    )
    offers = (
        _Offer("batch-memory", PriorityClass.BATCH, signals.be_allocatable_bytes),
        _Offer("mid-memory", PriorityClass.MID, signals.mid_allocatable_bytes),
    )
    return _needs(signals, policy, rule, offers)


def _needs(signals: Signals, policy: Policy, rule: _Rule, offers: Iterable[_Offer]) -> list[Need]:
    """One need for each resource. They share one list of candidates: pods whose own resource is to be released."""
    highest = policy.threshold.allocatable_evict_priority_threshold
    if highest is None:
        return []
    pods = [pod for pod in signals.pods.values() if priority_value(pod.pod, pod.priority) <= highest]
    found = [one for offer in offers if (one := _excess(offer, rule, pods)) is not None]
    releasable = {uid: amount for one in found for uid, amount in one.requests.items()}
    concerned = [pod for pod in pods if pod.pod.uid in releasable]
    candidates = by_priority(concerned, policy, rule.feature, highest, _from(releasable))
    return [Need(rule.feature, one.target, one.release, one.why, _from(one.requests), candidates) for one in found]


def _excess(offer: _Offer, rule: _Rule, pods: Sequence[PodSignals]) -> _Excess | None:
    percent, lower, allocatable = rule.percent, rule.lower, offer.allocatable
    if percent is None or lower is None or allocatable is None:
        return None
    requests = {
        pod.pod.uid: rule.requested(pod.class_requests)
        for pod in pods
        if priority_class(pod.pod, pod.priority) is offer.whose
    }
    requested = sum(requests.values())
    if requested <= allocatable * percent / 100:
        return None
    release = requested - allocatable * lower / 100
    why = (
        f"{offer.whose.value} pods request {rule.text(requested)} of {offer.name}, more than {rule.key} {percent} of the "
        f"{rule.text(allocatable)} that the node offers: requests of {rule.text(release)} are to be released"
    )
    return _Excess(f"{offer.name} requested", release, why, requests)


def _from(requests: dict[str, int]) -> Callable[[PodSignals], float]:
    """What a pod releases: nothing, unless its request counts."""
    return lambda pod: float(requests.get(pod.pod.uid, 0))
