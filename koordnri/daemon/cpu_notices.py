"""What people are told about exclusive CPUs: who has some, who lacks some and why. Each thing once."""

from __future__ import annotations

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.dra import disbelief
from koordnri.daemon.events import Events
from koordnri.model import CPUSet, Pod
from koordnri.model.log import Log
from koordnri.state.present import Present

MOST_REMEMBERED = 10_000
"""Events that were sent; a pod that went while we were not there is never forgotten else"""
GIVEN = "ExclusiveCPUs"
LACKING = "NoExclusiveCPUs"
SHARES = "SharesCPUs"
NO_CLAIM = "NoCPUsByClaim"
"""Reasons of Events: it has CPUs for itself; it wants some and there are none; it is LSE or LSR and wants or gets none; see
koordnri.cpus.dra."""


class CPUNotices:
    """Any thread may call. The allocator keeps why a container lacks CPUs, for that is a part of the decision on it."""

    def __init__(self, allocator: Allocator, present: Present, events: Events, log: Log) -> None:
        self._allocator = allocator
        self._present = present
        self._events = events
        self._log = log
        self._told: set[tuple[str, str, str]] = set()
        """(key of the pod, container, reason) of Events that were sent"""

    def has(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """A container has CPUs for itself."""
        self._told -= {(pod.key, name, LACKING), (pod.key, name, SHARES)}
        if self._is_new(pod, name, f"{GIVEN} {cpus}"):
            self._events.announce_pod(pod, GIVEN, f"container {name} has CPUs {cpus} for itself")

    def lacks(self, pod: Pod, name: str, why: str, said: str = "") -> None:
        """A container has no exclusive CPUs, or fewer than it wants.

        why    "" for no reason: it wants none
        said   what its owner is told; "": that it shares CPUs, and why
        """
        known = self._present.snapshot.node.no_exclusive_cpus.get(pod.key, {}).get(name, "")
        if self._allocator.lack(pod, name, why) or known != why:
            self._present.take()  # the reason is part of the decision
        reason = LACKING if said else SHARES
        if not why or not self._is_new(pod, name, reason):
            return
        self._events.tell_pod(pod, reason, f"container {name} {said or f'shares CPUs: {why}'}")
        self._log.warning("no_exclusive_cpus", pod=f"{pod.namespace}/{pod.name}", container=name, error=why)

    def why_lacking(self, pod: Pod, name: str) -> str:
        """Why a container lacks CPUs, as noted last; "" when it does not."""
        return self._allocator.lacking.get(pod.key, {}).get(name, "")

    def disbelieved(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """A container's environment names CPUs of a DRA driver, and its pod has no claim to any."""
        if not self._is_new(pod, name, NO_CLAIM):
            return
        message = disbelief(name, cpus)
        self._events.tell_pod(pod, NO_CLAIM, message)
        self._log.warning("dra_cpus_not_believed", pod=f"{pod.namespace}/{pod.name}", container=name, error=message)

    def forget_pod(self, key: str) -> None:
        """It is gone; another one of that name is told anew."""
        self._told = {told for told in self._told.copy() if told[0] != key}

    def _is_new(self, pod: Pod, name: str, what: str) -> bool:
        if (pod.key, name, what) in self._told:
            return False
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told.add((pod.key, name, what))
        return True
