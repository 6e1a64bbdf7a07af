"""The feedback controllers of this daemon, in the order in which they are asked, and what they must know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from koordnri.control.gauge import Needs
from koordnri.control.kinds import MEMORY_HIGH, QUOTA_BURST, Kind, Step, cpu_suppress
from koordnri.control.sampler import Demand
from koordnri.control.signals import Signals
from koordnri.daemon.eviction import Eviction
from koordnri.daemon.neighbour_watch import NeighbourWatch
from koordnri.model import NodeState, Pod
from koordnri.model.control import NO_CONTROL, Control
from koordnri.policy import Policy
from koordnri.policy.controllers import ControllerMode
from koordnri.reconcile.host_applications import Found

_EVERYTHING = Needs(cpu=True, throttling=True, memory=True, pressure=True, io=True)
_NEIGHBOURS = Demand(_EVERYTHING, Needs(throttling=True), waiting=True)
_EVICTION = Demand(Needs(cpu=True, memory=True, pressure=True), machine_pressure=True)


def controllers(watch: NeighbourWatch, eviction: Eviction) -> tuple[Kind, ...]:
    """CPU suppress and eviction follow what the watch of noisy neighbours found at the same tick."""
    return (
        Kind("noisyNeighbour", _watches, _NEIGHBOURS, lambda: _watching(watch), watch.clear),
        cpu_suppress(lambda: watch.ceiling_milli),
        QUOTA_BURST,
        MEMORY_HIGH,
        Kind("evict", _evicts, _EVICTION, lambda: _evicting(eviction, watch), eviction.switched_off),
    )


def applications_there(found: Iterable[Found]) -> dict[str, str]:
    """Name of each host application that is not left alone → its cgroup."""
    return {one.cgroup.application: one.cgroup.directory for one in found if not one.problem}


def _watches(policy: Policy, pods: Sequence[Pod]) -> ControllerMode:
    return "off" if policy.controllers.noisy_neighbour == "off" else "enforce"


def _evicts(policy: Policy, pods: Sequence[Pod]) -> ControllerMode:
    wanted = policy.threshold.enable or policy.controllers.noisy_neighbour == "evict"
    return policy.controllers.evict.mode if wanted else "off"


def _watching(watch: NeighbourWatch) -> Step:
    def step(signals: Signals, policy: Policy, node: NodeState, before: Control) -> Control:
        watch.step(signals, policy)
        return NO_CONTROL

    return step


def _evicting(eviction: Eviction, watch: NeighbourWatch) -> Step:
    def step(signals: Signals, policy: Policy, node: NodeState, before: Control) -> Control:
        eviction.step(signals, policy, node, before, watch.to_evict)
        return NO_CONTROL

    return step
