"""How much CPU best-effort work may use: koordlet's formula.

    capacity × cpuSuppressThresholdPercent
      − used by pods that are not best-effort
      − used by host applications that are not best-effort
      − the larger of: what the node uses outside of all these; what it reserves for itself

at least capacity × cpuSuppressMinPercent, where the policy has that. A pod is best-effort by Koordinator's label or by its Kubernetes QoS
class. A host application is it by the `qos` in `host-application-config`, and only with that.

When a best-effort pod comes or goes within a tick, its part of the node's usage cannot be distinguished: it would count as the system's and
shrink the budget for one second. For that tick, and SETTLE_S at most, the system counts with what it used before.
"""

from __future__ import annotations

from koordnri.control.signals import PodSignals, Signals
from koordnri.model import KubeQoS, QoSClass
from koordnri.policy import Policy

SETTLE_S = 5.0
"""Longest time for which the system's earlier usage counts."""


class Budget:
    """Remembers what the system used, and which best-effort pods there were."""

    def __init__(self) -> None:
        self._best_effort: frozenset[str] = frozenset()
        self._system: tuple[float, float] | None = None
        """(time, used cores) when it was last known"""

    def milli(self, signals: Signals, policy: Policy, ceiling_milli: int | None = None) -> int | None:
        """Best-effort work's CPU, 1/1000 CPU, not negative; None when the node's usage or its CPUs are unknown.

        ceiling_milli   the most that it may be, but for cpuSuppressMinPercent; None: there is no ceiling
        """
        used = signals.node.used_cores
        if used is None or not signals.cpus:
            return None
        services = everybody = 0.0
        for pod in signals.pods.values():
            cores = pod.load.used_cores or 0.0
            everybody += cores
            services += 0.0 if is_best_effort(pod) else cores
        best_effort = {a.name for a in policy.host_applications if a.qos == "BE"}
        for name, load in signals.host_applications.items():
            cores = load.used_cores or 0.0
            everybody += cores
            services += 0.0 if name in best_effort else cores
        system = max(self._system_cores(signals, used - everybody), 0.0, signals.reserved_milli / 1000)
        threshold = policy.threshold
        capacity = len(signals.cpus)
        left = capacity * threshold.cpu_suppress_threshold_percent / 100 - services - system
        if ceiling_milli is not None:
            left = min(left, ceiling_milli / 1000)
        least = capacity * (threshold.cpu_suppress_min_percent or 0) / 100
        return round(max(left, least, 0.0) * 1000)

    def _system_cores(self, signals: Signals, rest: float) -> float:
        present = frozenset(
            uid for uid, pod in signals.pods.items() if is_best_effort(pod) and pod.load.used_cores is not None
        )
        unmeasured = any(p.load.used_cores is None and is_best_effort(p) for p in signals.pods.values())
        changed = present != self._best_effort
        self._best_effort = present
        if self._system is not None and (changed or unmeasured):
            since, before = self._system
            if signals.at_s - since <= SETTLE_S:
                return min(rest, before)
        self._system = (signals.at_s, rest)
        return rest


def is_best_effort(pod: PodSignals) -> bool:
    """Whether CPU suppress is about this pod."""
    return pod.pod.qos is QoSClass.BE or pod.pod.kube_qos is KubeQoS.BESTEFFORT
