"""The controllers that move values: when each is on, what it must know, and how it is made."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from koordnri.control.gauge import Needs
from koordnri.control.memory_high import MemoryStaircase
from koordnri.control.quota_burst import QuotaBurst
from koordnri.control.sampler import Demand
from koordnri.control.signals import Signals
from koordnri.control.suppress import CPUSuppress
from koordnri.model import NodeState, Pod
from koordnri.model.annotations import CPU_BURST_KEY
from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.fields import MEMORY_HIGH as MEMORY_HIGH_FIELD
from koordnri.policy import Policy
from koordnri.policy.controllers import ControllerMode

_BURSTS = ("auto", "cfsQuotaBurstOnly")

Step = Callable[[Signals, Policy, NodeState, Control], Control]
"""What a controller wants at one tick; its part of Control alone. The last argument: what those before it want."""


def _nothing() -> None:
    """Most controllers have nothing to end: they are forgotten."""


class Kind(NamedTuple):
    """One controller. It is made when it is switched on, and forgotten, with what it wants, when it is switched off."""

    name: str
    """as in the policy, metrics and log"""
    mode: Callable[[Policy, Sequence[Pod]], ControllerMode]
    """off, too, while the policy and the pods have no work for it"""
    demand: Demand
    make: Callable[[], Step]
    end: Callable[[], None] = _nothing
    """called when it has been switched off"""


def cpu_suppress(ceiling_milli: Callable[[], int | None]) -> Kind:
    """CPU suppress. `ceiling_milli`: what best-effort work may use at most, 1/1000 CPU, whatever services leave; None: no such bound."""

    def make() -> Step:
        controller = CPUSuppress()

        def step(signals: Signals, policy: Policy, node: NodeState, before: Control) -> Control:
            cpus, quota_us = controller.step(signals, policy, node, ceiling_milli())
            return Control(be_cpus=cpus, be_quota_us=quota_us)

        return step

    return Kind("cpuSuppress", _suppress_mode, Demand(), make)


def _burst() -> Step:
    controller = QuotaBurst(random.random)

    def step(signals: Signals, policy: Policy, node: NodeState, before: Control) -> Control:
        return Control(quotas_us=controller.step(signals, policy, node))

    return step


def _staircase() -> Step:
    controller = MemoryStaircase()

    def step(signals: Signals, policy: Policy, node: NodeState, before: Control) -> Control:
        if not node.field_files[MEMORY_HIGH_FIELD]:
            return NO_CONTROL  # cgroup v1; the policy's warnings name it
        return Control(memory_high_bytes=controller.step(signals, policy.controllers.memory_high))

    return step


def _suppress_mode(policy: Policy, pods: Sequence[Pod]) -> ControllerMode:
    return policy.controllers.cpu_suppress.mode if policy.threshold.enable else "off"


def _burst_mode(policy: Policy, pods: Sequence[Pod]) -> ControllerMode:
    wanted = policy.burst.policy in _BURSTS or any(CPU_BURST_KEY in pod.annotations for pod in pods)
    return policy.controllers.quota_burst.mode if wanted else "off"


def _staircase_mode(policy: Policy, pods: Sequence[Pod]) -> ControllerMode:
    return policy.controllers.memory_high.mode


_MEMORY = Needs(cpu=True, memory=True, pressure=True)

QUOTA_BURST = Kind("quotaBurst", _burst_mode, Demand(containers=Needs(cpu=True, throttling=True)), _burst)
MEMORY_HIGH = Kind("memoryHigh", _staircase_mode, Demand(_MEMORY, _MEMORY, machine_pressure=True), _staircase)
