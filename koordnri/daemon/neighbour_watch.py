"""Reports pods that wait, and who makes them wait; keeps what `noisyNeighbour` does about it.

The control thread calls `step` at every tick. CPU suppress takes `ceiling_milli`, eviction takes `to_evict`.
"""

from __future__ import annotations

from collections import Counter

from koordnri.control.be_ceiling import BECeiling
from koordnri.control.finding import Cause, Finding
from koordnri.control.neighbours import Neighbours
from koordnri.control.signals import Signals
from koordnri.daemon.events import Events
from koordnri.model.log import Log
from koordnri.policy import Policy


class NeighbourWatch:
    """`step` and `clear` are for the control thread; the rest may be read by any."""

    def __init__(self, events: Events, log: Log) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """(resource, cause) → findings that were reported"""
        self.findings: tuple[Finding, ...] = ()
        """of the last complete window"""
        self.to_evict: tuple[Finding, ...] = ()
        """of this tick, where the policy says evict"""
        self._events = events
        self._log = log
        self.clear()

    @property
    def ceiling_milli(self) -> int | None:
        """What best-effort work may use at most, 1/1000 CPU; None: there is no ceiling."""
        return self._ceiling.milli

    def clear(self) -> None:
        """It is switched off: forget what was measured."""
        self._neighbours, self._ceiling = Neighbours(), BECeiling()
        self.findings = self.to_evict = ()

    def step(self, signals: Signals, policy: Policy) -> None:
        """Take a tick; report what a complete window shows."""
        action, self.to_evict = policy.controllers.noisy_neighbour, ()
        report = self._neighbours.step(signals, policy.controllers.wait_targets)
        if action != "suppress":
            self._ceiling.milli = None
        if report is None:
            return
        self.findings = report.findings
        for found in report.new:
            self._report(found)
        if action == "suppress":
            self._ceiling.window(report, len(signals.cpus))
        elif action == "evict":
            self.to_evict = report.new

    def _report(self, found: Finding) -> None:
        pod = found.victim
        self.counts[found.resource.value, found.cause.value] += 1
        self._log.info(
            "pod_waits",
            pod=f"{pod.namespace}/{pod.name}",
            uid=pod.uid,
            resource=found.resource.value,
            cause=found.cause.value,
            suspects=[one.name for one in found.suspects],
            evidence=str(found),
        )
        if found.cause is Cause.NEIGHBOUR:
            self._events.warn_pod(pod, "NoisyNeighbour", str(found))
