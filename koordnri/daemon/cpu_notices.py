"""Reports about exclusive CPUs, for people: which container has some, or lacks some, and why. Each report once."""

from __future__ import annotations

from koordnri.cpus.allocator import Allocator
from koordnri.daemon.events import Events
from koordnri.model import CPUSet, Pod
from koordnri.model.log import Log
from koordnri.state.present import Present

MOST_REMEMBERED = 10_000
"""Most sent Events that are remembered; those of a pod that vanished while koordnri was away are never dropped otherwise."""
GIVEN = "ExclusiveCPUs"
LACKING = "NoExclusiveCPUs"
SHARES = "SharesCPUs"
"""Reasons of Events: a container has exclusive CPUs; it wants some and there are none; it is LSE or LSR and wants or gets none."""


class CPUNotices:
    """Any thread may call it. The allocator stores why a container lacks CPUs, since that is part of its decision."""

    def __init__(self, allocator: Allocator, present: Present, events: Events, log: Log) -> None:
        self._allocator = allocator
        self._present = present
        self._events = events
        self._log = log
        self._sent: set[tuple[str, str, str]] = set()
        """(key of the pod, container, reason) of sent Events"""

    def has(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """A container has exclusive CPUs."""
        self._sent -= {(pod.key, name, LACKING), (pod.key, name, SHARES)}
        if self._is_new(pod, name, f"{GIVEN} {cpus}"):
            self._events.announce_pod(pod, GIVEN, f"container {name} has CPUs {cpus} for itself")

    def lacks(self, pod: Pod, name: str, why: str, text: str = "") -> None:
        """A container has no exclusive CPUs, or fewer than it wants.

        why    "": it wants none
        text   for the owner; "": that it shares CPUs, and why
        """
        known = self._present.snapshot.node.no_exclusive_cpus.get(pod.key, {}).get(name, "")
        if self._allocator.lack(pod, name, why) or known != why:
            self._present.take()  # the reason is part of the decision
        reason = LACKING if text else SHARES
        if not why or not self._is_new(pod, name, reason):
            return
        self._events.warn_pod(pod, reason, f"container {name} {text or f'shares CPUs: {why}'}")
        self._log.warning("no_exclusive_cpus", pod=f"{pod.namespace}/{pod.name}", container=name, error=why)

    def why_lacking(self, pod: Pod, name: str) -> str:
        """The last reason why a container lacks CPUs; "" when it does not."""
        return self._allocator.lacking.get(pod.key, {}).get(name, "")

    def forget_pod(self, key: str) -> None:
        """The pod is gone; a later one of that name gets its own Events."""
        self._sent = {sent for sent in self._sent.copy() if sent[0] != key}

    def _is_new(self, pod: Pod, name: str, what: str) -> bool:
        if (pod.key, name, what) in self._sent:
            return False
        if len(self._sent) >= MOST_REMEMBERED:
            self._sent.clear()
        self._sent.add((pod.key, name, what))
        return True
