"""Signals of a node with memory, for the memory staircase."""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.control.signals import ContainerSignals, Load, PodSignals, Signals
from koordnri.model import CPUSet
from koordnri.model.resources import NOTHING, Resources
from tests.support.pods import BESTEFFORT, BURSTABLE, pod

MI, GI = 1 << 20, 1 << 30
CAPACITY = 10 * GI


def batch_pod(name: str, used: int | None, request: int = 0, priority: int | None = None, **load: float) -> PodSignals:
    """A best-effort pod with one container, `<name>-main`."""
    own = Load(memory_bytes=used, **load)
    return PodSignals(
        pod("BE", BESTEFFORT, name=name),
        own,
        (ContainerSignals(f"{name}-main", "main", own),),
        memory_request_bytes=request,
        priority=priority,
    )


def service_pod(name: str, pressure: float, used: int = GI, limit: int | None = None) -> PodSignals:
    """A pod of class LS with one container."""
    own = Load(memory_bytes=used, memory_pressure=pressure)
    baseline = NOTHING if limit is None else Resources(memory_limit=limit)
    return PodSignals(pod("LS", BURSTABLE, name=name), own, (ContainerSignals(f"{name}-main", "main", own, baseline),))


def node_signals(
    at_s: float, available: int | None, pods: Iterable[PodSignals] = (), pressure: float | None = None
) -> Signals:
    """The node at one tick. `available`: MemAvailable, percent."""
    used = None if available is None else CAPACITY * (100 - available) // 100
    node = Load(memory_bytes=used, memory_pressure=pressure)
    return Signals(at_s, 1.0, CPUSet.parse("0-3"), node, CAPACITY, {one.pod.uid: one for one in pods})
