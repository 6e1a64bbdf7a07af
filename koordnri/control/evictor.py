"""Which pods are to be evicted now, one tick after the other: cool times and the node's budget of evictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from koordnri.control.evict_cpu import CPUEviction
from koordnri.control.evict_memory import memory_needs, pressure_needs
from koordnri.control.evict_neighbour import neighbour_needs
from koordnri.control.finding import Finding
from koordnri.control.signals import Signals
from koordnri.control.token_bucket import TokenBucket
from koordnri.control.victims import Need, Standing, Victim, choose
from koordnri.model import NodeState
from koordnri.model.control import Control
from koordnri.policy.policy import Policy

CPU_COOL_S = 20.0
"""After pods were evicted for CPU, none is for so long: what it released shows in averages only later. koordlet's CPUEvictCoolTime."""
MEMORY_COOL_S = 4.0
"""koordlet's MemoryEvictCoolTime."""
PRESSURE_COOL_S = 20.0
"""PSI averages over 10 s, and pods need time to end."""
PRESSURE_HELD_S = 5.0
"""So long there must have been pressure: what pods add to it is read every few ticks (koordnri.control.gauge.SLOW_TICKS)."""


class Evictor:
    """Call `step` at every tick. Its state is bounded: four times, two windows, one number of tokens.

    began_s   when the daemon started, as of the signals. The budget is empty then, and all cool times begin: the daemon before it may just
              have chosen pods, and one that is killed again and again must evict no more than one that runs on.
    """

    def __init__(self, began_s: float) -> None:
        self._cpu = CPUEviction()
        self._bucket = TokenBucket(began_s)
        self._cpu_s = self._memory_s = self._pressure_s = began_s
        """when pods were last chosen"""
        self._calm_s: float | None = None
        """when there was no memory pressure for the last time, or nothing was measured"""

    def clear(self) -> None:
        """Eviction is off: forget what was measured. Cool times and the budget stay, so that switching it on and off gives no more."""
        self._cpu.clear()
        self._calm_s = None

    def step(
        self,
        signals: Signals,
        policy: Policy,
        control: Control,
        node: NodeState,
        standing: Mapping[str, Standing],
        findings: Iterable[Finding] = (),
    ) -> list[Victim]:
        """Pods to be evicted now.

        control    what is wanted of BE's CPUs
        standing   uid → what has become of pods that were chosen before
        findings   noisy neighbours that are to be evicted, where the rules allow it
        """
        options, at_s = policy.controllers.evict, signals.at_s
        most = self._bucket.fill(at_s, options.burst, options.per_minute / 60)
        needs_cpu = self._cpu.needs(signals, policy, control, node)  # at every tick, since its windows grow with them
        pressure = pressure_needs(signals, policy)
        if not pressure or self._calm_s is None:
            self._calm_s = at_s
        pressed = at_s - self._calm_s >= PRESSURE_HELD_S
        known = dict(standing)
        chosen: list[Victim] = []

        def take(needs: Sequence[Need]) -> bool:
            more = choose(needs, signals.pods, known, most - len(chosen))
            known.update({victim.pod.uid: "leaving" for victim in more})
            chosen.extend(more)
            return bool(more)

        if policy.threshold.enable:
            if at_s - self._memory_s >= MEMORY_COOL_S and take(memory_needs(signals, policy)):
                self._memory_s = at_s
            if pressed and at_s - self._pressure_s >= PRESSURE_COOL_S and take(pressure):
                self._pressure_s = at_s
            if at_s - self._cpu_s >= CPU_COOL_S and take(needs_cpu):
                self._cpu_s = at_s
        take(neighbour_needs(findings, signals, policy))
        self._bucket.take(len(chosen))
        return chosen
