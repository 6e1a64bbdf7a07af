"""Which pods and containers have exclusive CPUs, and who chose them: koordnri, a scheduler, kubelet or a DRA driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from koordnri.cpus.holding import Holdings
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.assigned import assigned_on
from koordnri.model.cpuset import NO_CPUS

KOORDNRI, SCHEDULER, KUBELET, DRA = "koordnri", "koord-scheduler", "kubelet", "DRA driver"
"""who chooses CPUs"""
Pins = Mapping[tuple[str, str], CPUSet]
"""(key of the pod, container) → CPUs that kubelet pinned it to"""


class CPUHolder(NamedTuple):
    """A container, or a whole pod, with exclusive CPUs."""

    key: str
    """of the pod"""
    container: str
    """"": the CPUs are the whole pod's"""
    by: str
    cpus: CPUSet
    coming: CPUSet = NO_CPUS
    """further CPUs, which others have yet to leave"""


def find_holders(node: NodeState, pods: Iterable[Pod], held: Holdings, pins: Pins) -> Iterator[CPUHolder]:
    """All of them. `held`: holdings of the allocator, for CPUs that others have yet to leave."""
    for pod in {pod.key: pod for pod in pods}.values():  # a pod may have a second sandbox
        if cpus := assigned_on(pod, node):
            yield CPUHolder(pod.key, "", SCHEDULER, cpus)
    coming = {(key, name): h.coming for key, of_pod in held.items() for name, h in of_pod.items() if h.coming}
    given = {(key, name): cpus for key, of_pod in node.exclusive_cpus.items() for name, cpus in of_pod.items()}
    for key, name in sorted(given.keys() | coming.keys()):
        yield CPUHolder(key, name, KOORDNRI, given.get((key, name), NO_CPUS), coming.get((key, name), NO_CPUS))
    for key, of_pod in node.dra_cpus.items():
        for name, cpus in of_pod.items():
            yield CPUHolder(key, name, DRA, cpus)
    for (key, name), cpus in pins.items():
        yield CPUHolder(key, name, KUBELET, cpus)
