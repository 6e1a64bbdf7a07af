"""Noisy neighbours: names a pod that waits beyond its class' target, why it waits, and who used what it waited for.

Once per window of WINDOW_S, over the averages of the window. A pod that is not best-effort is a victim when it

    CPU     waited for more than the target's percent of the time in which it ran or wanted to (run-queue wait; without that, PSI),
            or was throttled for as much
    memory  stalled for more than the target's percent of the time (PSI)
    I/O     likewise

Four causes are distinguished, in this order:

    throttled  its own CFS quota held it back for at least half of the wait
    stolen     the hypervisor gave CPUs to other machines: at least STOLEN_SHARE of them, and more than all suspects took
    itself     nobody else took more beyond its request than the pod itself, or the pod is at its own memory limit
    neighbour  others did: the suspects, MOST_SUSPECTS at most, those with the largest excess first

A suspect used more than its request of CPU or memory; there is no request for I/O, where all counts. For CPU, it may run on a CPU of the
victim. It is a correlation, not a proof: the figures are the evidence. The same victim is reported again for the same resource after COOL_S
at the earliest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from koordnri.control.averages import Average, Averages, Window
from koordnri.control.finding import Cause, Finding, Resource, Suspect
from koordnri.control.memory_high import at_own_bound, is_best_effort
from koordnri.control.signals import Signals
from koordnri.control.users import Users
from koordnri.policy.controllers import WaitTargets

WINDOW_S = 15.0
COOL_S = 300.0
MOST_REPORTED = 20
"""Per window, those that waited longest; others in later windows, if they still wait."""
MOST_SUSPECTS = 3
STOLEN_SHARE = 0.05
LEAST_WAITED_CORES = 0.02
"""A pod that waits less than 20 ms per s is no victim, whatever share of its run time that is."""
_THROTTLED_SHARE = 0.5


class Report(NamedTuple):
    """What one complete window shows."""

    findings: tuple[Finding, ...]
    new: tuple[Finding, ...]
    """those that were not reported within COOL_S, MOST_REPORTED at most"""
    be_used_cores: float
    """what best-effort work used over the window"""


class Neighbours:
    """Remembers the present window, and when it reported each victim."""

    def __init__(self) -> None:
        self._averages = Averages(WINDOW_S)
        self._reported: dict[tuple[str, Resource], float] = {}
        """_key of a finding → when"""

    def step(self, signals: Signals, targets: WaitTargets) -> Report | None:
        """Take a tick. None while the window is not complete."""
        window = self._averages.add(signals)
        if window is None:
            return None
        now_s = signals.at_s
        reported = {key: at_s for key, at_s in self._reported.items() if now_s - at_s < COOL_S}
        findings = tuple(_findings(signals, window, targets))
        unreported = [found for found in findings if _key(found) not in reported]
        new = tuple(sorted(unreported, key=lambda found: -found.waited_percent)[:MOST_REPORTED])
        self._reported = reported | {_key(found): now_s for found in new}
        used = (window.pods[uid].used_cores or 0.0 for uid, pod in signals.pods.items() if is_best_effort(pod))
        return Report(findings, new, sum(used))


def _key(found: Finding) -> tuple[str, Resource]:
    return found.victim.key, found.resource


def _findings(signals: Signals, window: Window, targets: WaitTargets) -> Iterator[Finding]:
    users = Users(signals, window)
    for uid, pod in signals.pods.items():
        average = window.pods[uid]
        if is_best_effort(pod):
            continue
        target = targets.of(pod.pod.qos_or_default)
        for resource, waited in (
            (Resource.CPU, cpu_wait_percent(average)),
            (Resource.MEMORY, average.memory_pressure),
            (Resource.IO, average.io_pressure),
        ):
            if waited is not None and waited > target:
                cause, suspects = _cause(signals, window, users, uid, resource)
                yield Finding(
                    pod.pod,
                    resource,
                    cause,
                    window.seconds,
                    waited,
                    target,
                    average.throttled_s or 0.0,
                    window.stolen_cores or 0.0,
                    suspects,
                )


def cpu_wait_percent(average: Average) -> float | None:
    """Percent of the time in which a pod ran or wanted to that it waited or was throttled; None when unknown."""
    used = average.used_cores
    found = [
        100 * waited / (used + waited) if waited >= LEAST_WAITED_CORES else 0.0
        for waited in (average.waited_cores, average.throttled_s)
        if waited is not None and used is not None
    ]
    if average.waited_cores is None and average.cpu_pressure is not None:
        found.append(average.cpu_pressure)
    return max(found, default=None)


def _cause(
    signals: Signals, window: Window, users: Users, uid: str, resource: Resource
) -> tuple[Cause, tuple[Suspect, ...]]:
    pod, average = signals.pods[uid], window.pods[uid]
    if resource is Resource.CPU and _is_throttled(average):
        return Cause.THROTTLED, ()
    stolen = window.stolen_cores or 0.0
    much_stolen = resource is Resource.CPU and stolen >= STOLEN_SHARE * len(signals.cpus)
    suspects = users.beyond(pod, resource, None if much_stolen else MOST_SUSPECTS)
    if much_stolen and stolen > sum(one.excess for one in suspects):
        return Cause.STOLEN, ()
    if not suspects or (resource is Resource.MEMORY and at_own_bound(pod)):
        return Cause.ITSELF, ()
    return Cause.NEIGHBOUR, tuple(suspects[:MOST_SUSPECTS])


def _is_throttled(average: Average) -> bool:
    throttled = average.throttled_s or 0.0
    waited = average.waited_cores
    if waited is None:
        waited = (average.cpu_pressure or 0.0) / 100
    return throttled >= LEAST_WAITED_CORES and throttled >= _THROTTLED_SHARE * waited
