"""How much CPU is to be released by eviction, and by which pods. Pure but for its windows. Source: koordlet's cpuevict."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.control.cpu_choice import usable
from koordnri.control.evict_allocatable import BATCH_CPU_REQUESTED, cpu_allocatable_needs
from koordnri.control.signals import PodSignals, Signals
from koordnri.control.victims import Feature, Need, best_effort, by_priority
from koordnri.control.window import Window
from koordnri.model import NodeState
from koordnri.model.control import Control
from koordnri.model.qos import QoSClass
from koordnri.policy.policy import Policy
from koordnri.policy.threshold import ResourceThreshold

BUFFER_PERCENT = 2
"""Without a lower percent, eviction aims at so much below the threshold."""
USAGE_PERCENT = 90
"""Usage of BE's limit below which a low satisfaction hurts nobody, unless the policy names another."""
_PERIOD_US = 100_000
_ONE_CORE_MILLI = 1000
_USED = "CPU used"


class CPUEviction:
    """Call `needs` at every tick: its windows grow with them."""

    def __init__(self) -> None:
        self._be = Window()
        """(used, requested, limit) of BE in milli-cores"""
        self._node = Window()
        """(used,) in cores"""

    def clear(self) -> None:
        """Forget what was measured: eviction was off."""
        self._be.clear()
        self._node.clear()

    def needs(self, signals: Signals, policy: Policy, control: Control, node: NodeState) -> list[Need]:
        """What is to be released now, in koordlet's order: BE, then requests beyond what is allocatable, then the node's usage.

        control   what is wanted of BE now; it has less than all its CPUs while it is suppressed
        """
        threshold = policy.threshold
        window_s = max(signals.interval_s, float(threshold.cpu_evict_time_window_seconds or 0))
        latest = _best_effort_now(signals, policy, control, node)
        if latest is None:
            self._be.clear()
        else:
            self._be.add(signals.at_s, signals.interval_s, latest, window_s)
        if signals.node.used_cores is not None:
            self._node.add(signals.at_s, signals.interval_s, (signals.node.used_cores,), window_s)
        found: list[Need] = []
        if latest is not None and _covers(self._be, window_s):
            found += _by_satisfaction(signals, policy, self._be.averages(), latest)
        found += cpu_allocatable_needs(signals, policy)
        if signals.node.used_cores is not None and _covers(self._node, window_s):
            found += _by_usage(signals, policy, *self._node.averages())
        return found


def _covers(window: Window, window_s: float) -> bool:
    return window.covered_s >= max(window_s / 3, 0.001)


def _best_effort_now(signals: Signals, policy: Policy, control: Control, node: NodeState) -> tuple[float, ...] | None:
    """BE's use, requests and limit in milli-cores; None while one of them is not known."""
    if policy.threshold.cpu_evict_policy == "evictByAllocatable":
        if signals.be_allocatable_milli is None:
            return None
        limit = float(max(signals.be_allocatable_milli, 1))
    else:
        limit = _real_limit_milli(signals, policy, control, node)
    pods = [pod for pod in signals.pods.values() if pod.pod.qos is QoSClass.BE]
    used = [pod.load.used_cores for pod in pods if pod.load.used_cores is not None]
    if pods and not used:
        return None
    return sum(used) * 1000, float(sum(pod.cpu_request_milli for pod in pods)), limit


def _real_limit_milli(signals: Signals, policy: Policy, control: Control, node: NodeState) -> float:
    """What BE may use while it is suppressed as it is now. It never has CPUs of LSE pods and reserved ones."""
    cpus = usable(signals, policy, node).all if control.be_cpus is None else control.be_cpus.value
    limit = len(cpus) * 1000.0
    if control.be_quota_us is not None and control.be_quota_us.value > 0:
        limit = min(limit, control.be_quota_us.value * 1000.0 / _PERIOD_US)
    return limit


def release_by_satisfaction(threshold: ResourceThreshold, requested_milli: float, limit_milli: float) -> float:
    """Milli-cores of requests to be released, so that BE gets the upper percent of what it requests. 0 while it gets enough."""
    lower = threshold.cpu_evict_be_satisfaction_lower_percent
    upper = threshold.cpu_evict_be_satisfaction_upper_percent
    if not lower or not upper or upper < lower or requested_milli <= 0:
        return 0.0
    satisfaction = limit_milli / requested_milli
    return 0.0 if satisfaction > lower / 100 else max(0.0, requested_milli * (upper / 100 - satisfaction))


def uses_its_limit(threshold: ResourceThreshold, used_milli: float, limit_milli: float) -> bool:
    """Whether BE uses so much of its limit that it could use more. With less than a core it always could."""
    if limit_milli <= 0:
        return False
    percent = threshold.cpu_evict_be_usage_threshold_percent
    least = USAGE_PERCENT if percent is None else percent
    return limit_milli < _ONE_CORE_MILLI or used_milli / limit_milli >= least / 100


def _by_satisfaction(
    signals: Signals, policy: Policy, average: tuple[float, ...], latest: tuple[float, ...]
) -> Iterator[Need]:
    threshold = policy.threshold
    if not all(uses_its_limit(threshold, used, limit) for used, _, limit in (average, latest)):
        return
    release = min(release_by_satisfaction(threshold, requested, limit) for _, requested, limit in (average, latest))
    if release < 1:
        return
    _, requested, limit = latest
    yield Need(
        Feature.BE_CPU,
        BATCH_CPU_REQUESTED,
        release,
        f"best-effort pods may use {limit / 1000:.1f} of the {requested / 1000:.1f} CPUs that they request, which is at most "
        f"cpuEvictBESatisfactionLowerPercent {threshold.cpu_evict_be_satisfaction_lower_percent}: {release / 1000:.1f} CPUs of requests "
        "are to be released",
        _requested_milli,
        best_effort(signals.pods.values(), policy, Feature.BE_CPU, _used_of_request),
    )


def _by_usage(signals: Signals, policy: Policy, used: float) -> Iterator[Need]:
    threshold, capacity = policy.threshold, len(signals.cpus)
    percent, highest = threshold.cpu_evict_threshold_percent, threshold.evict_enabled_priority_threshold
    if percent is None or highest is None or not capacity or used < capacity * percent / 100:
        return
    release = (used - capacity * aim_percent(percent, threshold.cpu_evict_lower_percent) / 100) * 1000
    yield Need(
        Feature.CPU,
        _USED,
        release,
        f"the node uses {used:.1f} of {capacity} CPUs, at least cpuEvictThresholdPercent {percent}: {release / 1000:.1f} CPUs are to be "
        "released",
        _used_milli,
        by_priority(signals.pods.values(), policy, Feature.CPU, highest, _used_milli),
    )


def aim_percent(percent: int, lower: int | None) -> int:
    """The usage that eviction aims at, of a threshold and the lower percent that the policy names."""
    return max(percent - BUFFER_PERCENT, 0) if lower is None else lower


def _used_milli(pod: PodSignals) -> float:
    return (pod.load.used_cores or 0.0) * 1000


def _requested_milli(pod: PodSignals) -> float:
    return float(pod.cpu_request_milli)


def _used_of_request(pod: PodSignals) -> float:
    return _used_milli(pod) / pod.cpu_request_milli if pod.cpu_request_milli > 0 else 0.0
