"""Synchronize: which container has which exclusive CPUs after koordnri was away. The same map as before, whatever was lost.

A container's note has them: its annotation (from its creation) or, if they changed since, the state directory. If the state directory
is lost, a promoted or resized container is recognised by its cgroup: as many CPUs as it wants, with no other container on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from koordnri.cpus.choice import Wish, choose_fewer
from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.wish import WantedCPUs, may_wish, wanted_by
from koordnri.model import CPUSet, NodeState, Pod, QoSClass
from koordnri.model.allocated import Allocated
from koordnri.model.convert import CFS_PERIOD_US, SHARES_PER_CPU
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.resources import Resources


class FoundHolding(NamedTuple):
    """One container that the runtime reports."""

    pod: Pod
    name: str
    baseline: Resources
    noted: Allocated
    """what its note says"""
    now: CPUSet | None
    """the cpuset of its cgroup; None when it cannot be read, or is empty"""
    alive: bool
    """whether it is created or running; otherwise it has ended, and kubelet may create it again"""

    @property
    def wanted(self) -> WantedCPUs:
        """What it wants. We lift an owner's quota, so a resize whose note was lost shows only in its shares."""
        wanted, shares = wanted_by(self.pod, self.name, self.baseline), self.baseline.cpu_shares or 0
        cpus = shares // SHARES_PER_CPU
        if wanted.wishes or not cpus or shares % SHARES_PER_CPU or not self.noted:
            return wanted
        lifted = msgspec.structs.replace(self.baseline, cpu_quota=cpus * CFS_PERIOD_US, cpu_period=CFS_PERIOD_US)
        return wanted_by(self.pod, self.name, lifted)

    @property
    def is_lost(self) -> bool:
        """Whether it wants CPUs and its note does not say which."""
        if not self.alive or not may_wish(self.pod):
            return False
        return bool(self.wanted.wishes) and len(self.noted.cpus) != self.wanted.cpus


def holdings(found: Iterable[FoundHolding], node: NodeState) -> Holdings:
    """Each container's holding. Of two that claim the same CPUs one loses its claim: an ended container before a live one."""
    found = sorted(found, key=lambda f: (not f.alive, f.pod.key, f.name))
    shared = _shared(found)
    taken, held = NO_CPUS, dict[str, dict[str, Holding]]()
    for one in found:
        if one.name in held.get(one.pod.key, {}) or not may_wish(one.pod):
            continue
        holding = _holding(one, shared, node)
        if holding is None:
            continue
        spent = not one.alive and _is_init(one)
        if spent or not one.alive:
            holding = holding._replace(cpus=holding.cpus - taken, spent=spent)
        if not holding.cpus or holding.cpus & taken:
            continue
        taken |= holding.cpus
        held.setdefault(one.pod.key, {})[one.name] = holding
    return held


def _holding(one: FoundHolding, shared: CPUSet, node: NodeState) -> Holding | None:
    wanted = one.wanted
    if not wanted.wishes:
        return None
    noted = one.noted.cpus
    exclusive = one.noted.exclusive if noted else wanted.wishes[0].exclusive
    now = one.now if one.alive and one.now is not None and len(one.now) == wanted.cpus else NO_CPUS
    if len(noted) != wanted.cpus and now and not now & (shared - noted):
        noted = now
    if len(noted) > wanted.cpus:  # resized while koordnri was away
        noted = _fewer(node, noted, wanted.wishes[0])
    return Holding(noted, exclusive, one.pod.qos is QoSClass.LSE) if noted else None


def _fewer(node: NodeState, cpus: CPUSet, wish: Wish) -> CPUSet:
    return CPUSet(list(cpus)[: wish.cpus]) if node.topology is None else choose_fewer(node.topology, cpus, wish)


def _shared(found: Iterable[FoundHolding]) -> CPUSet:
    """CPUs on which more than one container without a note runs."""
    once, twice = NO_CPUS, NO_CPUS
    for one in found:
        if one.alive and one.now is not None and not one.noted:
            twice |= once & one.now
            once |= one.now
    return twice


def _is_init(one: FoundHolding) -> bool:
    spec = None if one.pod.spec is None else one.pod.spec.containers.get(one.name)
    return spec is not None and spec.init
