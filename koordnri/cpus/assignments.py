"""CPUs that schedulers assigned to pods, and whose they are if two want them.

Whoever was first keeps them: a container with exclusive CPUs of this node or of a DRA driver, a pod with an earlier assignment. A later
assignment that names one of these CPUs is disputed, and counts as absent until they are free. So is one that names CPUs that kubelet's
static CPU manager pinned another pod to: nobody moves that pod away. A pod with an assignment runs on that, wherever kubelet pinned it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from koordnri.cpus.holding import Holdings
from koordnri.cpus.node_view import AssignedCPUs, DRACPUs
from koordnri.cpus.restore import FoundHolding
from koordnri.model import CPUSet, Pod, QoSClass
from koordnri.model.assigned import assigned_or_none
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.model.verdict import Verdict
from koordnri.policy.trust import another_has
from koordnri.policy.trust_options import TrustMode, TrustOptions


class Assignment(NamedTuple):
    """What a scheduler assigned to one pod."""

    cpus: CPUSet = NO_CPUS
    is_lse: bool = False
    mode: TrustMode = "off"
    """of the trust rules that judged the pod"""

    @classmethod
    def of(cls, pod: Pod) -> Assignment:
        """What the pod's annotation says, as far as it is believed. Of a static pod root of the node wrote it, and may name any CPUs."""
        rules = pod.judged_by
        mode: TrustMode = rules.mode if isinstance(rules, TrustOptions) and not pod.is_static else "off"
        return cls(assigned_or_none(pod), pod.qos is QoSClass.LSE, mode)


Assignments = Mapping[str, Assignment]
"""Key of the pod → its assignment, in the order in which they came"""


Pins = Mapping[tuple[str, str], CPUSet]
"""(key of the pod, container) → CPUs that kubelet pinned it to"""


class Settled(NamedTuple):
    """All assignments, weighed against each other and against everything else."""

    assigned: AssignedCPUs
    """those that hold"""
    disputed: Mapping[str, Verdict]
    """key of a pod → the verdict on its assignment, which names CPUs of another pod"""


def settle(assignments: Assignments, held: Holdings, dra: DRACPUs, pins: Pins) -> Settled:
    """Which assignments hold."""
    given = {key: union(h.all for h in of_pod.values()) for key, of_pod in held.items()}
    for key, of_pod in dra.items():
        given[key] = given.get(key, NO_CPUS) | union(of_pod.values())
    for (key, _), cpus in pins.items():
        if key not in assignments:
            given[key] = given.get(key, NO_CPUS) | cpus
    assigned, disputed = dict[str, tuple[CPUSet, bool]](), dict[str, Verdict]()
    # Bit masks: this goes over all assigned pods whenever one of them comes or goes.
    everything, taken = union(given.values()).mask, 0
    for key, one in assignments.items():
        mask = one.cpus.mask
        if one.mode != "off":
            others = taken | everything
            if key in given:  # seldom: a DRA driver's CPUs of this very pod
                others = taken | union(cpus for owner, cpus in given.items() if owner != key).mask
            if conflict := mask & others:
                disputed[key] = another_has(CPUSet.of_mask(conflict), observed=one.mode == "observe")
        if key not in disputed or disputed[key].counts:
            assigned[key] = (one.cpus, one.is_lse)
            taken |= mask
    return Settled(assigned, disputed)


def in_order(found: Sequence[tuple[str, FoundHolding]], cpus_now: Callable[[Pod, str], CPUSet | None]) -> list[Pod]:
    """The pods of these containers (id, container) after a restart of ours. Those come first that run on the CPUs assigned to them: nobody
    may take them away by naming them, too.

    cpus_now   the cpuset of a container's cgroup (pod, container id); None when it cannot be read
    """
    there = {
        one.pod.key
        for container_id, one in found
        if one.alive
        and (cpus := assigned_or_none(one.pod))
        and (now := cpus_now(one.pod, container_id))
        and now <= cpus
    }
    return sorted({one.pod.key: one.pod for _, one in found}.values(), key=lambda pod: pod.key not in there)
