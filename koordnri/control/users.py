"""Who used how much of a resource over a window, the most beyond its request first. Sorted once, for a busy node has many victims."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.control.averages import Average, Window
from koordnri.control.finding import OUTSIDE, Resource, Suspect
from koordnri.control.memory_high import is_best_effort
from koordnri.control.signals import PodSignals, Signals
from koordnri.model import CPUSet
from koordnri.model.cpuset import NO_CPUS

_LEAST = {Resource.CPU: 0.1, Resource.MEMORY: float(64 << 20), Resource.IO: float(1 << 20)}
"""Least excess of a suspect: cores, bytes, bytes per s."""


class _User(NamedTuple):
    excess: float
    suspect: Suspect
    cpus: CPUSet | None


class Users:
    """Everybody who used something in one window."""

    def __init__(self, signals: Signals, window: Window) -> None:
        self._signals = signals
        self._window = window
        self._sorted: dict[Resource, list[_User]] = {}

    def beyond(self, victim: PodSignals, resource: Resource, most: int | None) -> list[Suspect]:
        """Those who took more beyond their request than the victim beyond its own, the most first; of the CPU, only those who may run on a
        CPU of the victim.

        most   how many; None: all
        """
        average = self._window.pods.get(victim.pod.key, Average())
        least = max(_used(average, resource) - _requested(victim, resource), _LEAST[resource])
        cpus = _cpus(victim) if resource is Resource.CPU else None
        found: list[Suspect] = []
        for user in self._by_excess(resource):
            if user.excess <= least or len(found) == most:
                break
            if user.suspect.uid != victim.pod.key and (cpus is None or user.cpus is None or cpus & user.cpus):
                found.append(user.suspect)
        return found

    def _by_excess(self, resource: Resource) -> list[_User]:
        known = self._sorted.get(resource)
        if known is None:
            users = sorted(self._all(resource), key=lambda user: -user.excess)
            known = self._sorted[resource] = users
        return known

    def _all(self, resource: Resource) -> list[_User]:
        found, of_pods = [], 0.0
        for uid, pod in self._signals.pods.items():
            used = _used(self._window.pods[uid], resource)
            of_pods += used
            name = f"{pod.pod.namespace}/{pod.pod.name}"
            suspect = Suspect(name, uid, is_best_effort(pod), used, _requested(pod, resource))
            found.append(_User(suspect.excess, suspect, _cpus(pod) if resource is Resource.CPU else None))
        if resource is Resource.CPU:
            # Memory and I/O outside of pods include what the kernel does for pods, such as page cache.
            used = _used(self._window.node, resource) - of_pods
            outside = Suspect(OUTSIDE, "", False, used, self._signals.reserved_milli / 1000)
            found.append(_User(outside.excess, outside, None))
        return found


def _cpus(pod: PodSignals) -> CPUSet | None:
    """CPUs that any of the pod's containers may run on; None when that is unknown of one."""
    cpus = NO_CPUS
    for container in pod.containers:
        if container.cpus is None:
            return None
        cpus |= container.cpus
    return cpus


def _used(average: Average, resource: Resource) -> float:
    if resource is Resource.CPU:
        return average.used_cores or 0.0
    return (average.memory_bytes if resource is Resource.MEMORY else average.io_bytes_s) or 0.0


def _requested(pod: PodSignals, resource: Resource) -> float:
    if resource is Resource.CPU:
        return pod.cpu_request_milli / 1000
    return float(pod.memory_request_bytes) if resource is Resource.MEMORY else 0.0
