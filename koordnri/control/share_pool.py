"""How busy the CPUs are that containers without exclusive CPUs share: koordlet's node state for quota burst.

    (used by the node − used by LSE, LSR and BE pods) / (CPUs − requested by LSE and LSR pods), averaged over WINDOW_S

at `sharePoolThresholdPercent` or more the node is overloaded; from nine tenths of it, it cools.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from koordnri.control.signals import Signals
from koordnri.model import QoSClass

WINDOW_S = 5.0
_COOLING = 0.9
_OUTSIDE = (QoSClass.LSE, QoSClass.LSR, QoSClass.BE)
_EXCLUSIVE = (QoSClass.LSE, QoSClass.LSR)


class NodeLoad(StrEnum):
    """What the share pool's usage means for raised quotas."""

    IDLE = "idle"
    COOLING = "cooling"
    """no quota is raised further"""
    OVERLOAD = "overload"
    """raised quotas are taken back"""
    UNKNOWN = "unknown"
    """as cooling"""


class SharePool:
    """Remembers the usage of the last WINDOW_S."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        """(time, usage / CPUs)"""

    def load(self, signals: Signals, threshold_percent: int) -> NodeLoad:
        """The state at this tick."""
        recent = self._recent
        if (used := signals.node.used_cores) is not None:
            recent.append((signals.at_s, _usage(signals, used)))
        while recent and recent[0][0] <= signals.at_s - WINDOW_S:
            recent.popleft()
        if not recent:
            return NodeLoad.UNKNOWN
        usage = sum(usage for _, usage in recent) / len(recent)
        if usage * 100 >= threshold_percent:
            return NodeLoad.OVERLOAD
        return NodeLoad.COOLING if usage * 100 >= threshold_percent * _COOLING else NodeLoad.IDLE


def _usage(signals: Signals, used_cores: float) -> float:
    shared, cpus = used_cores, float(len(signals.cpus))
    for pod in signals.pods.values():
        qos = pod.pod.qos
        shared -= (pod.load.used_cores or 0.0) if qos in _OUTSIDE else 0.0
        cpus -= pod.cpu_request_milli / 1000 if qos in _EXCLUSIVE else 0.0
    return shared / cpus if cpus > 0 else 1.0
