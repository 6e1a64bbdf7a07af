"""Which CPUs best-effort work may use, and which of them it gets.

    may use   online CPUs of the BE share pools (all online ones without pools) − exclusive CPUs of LSE pods − CPUs that kubelet or a DRA
              driver gave away − reserved CPUs − exclusive system CPUs
    gets      from LSR pods' CPUs the part that they are of all these (rounded down), the rest from the others. Within a part: buckets per
              (socket, NUMA node), the fullest first; in turn one pair of siblings from each, then in turn one single CPU

That is koordlet's choice when nothing was chosen before. koordlet chooses afresh at each change; here what was chosen before stays as far
as the new number allows: best-effort threads do not migrate for nothing. More CPUs are added first beside single siblings, then in the
buckets that have the fewest. koordlet gives nothing when there are fewer CPUs than wanted; here best-effort work gets those that there are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from koordnri.control.signals import Signals
from koordnri.model import CPUSet, NodeState, QoSClass
from koordnri.model.assigned import assigned_on
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.model.topology import CPU, Topology
from koordnri.policy import Policy


class Usable(NamedTuple):
    """CPUs that best-effort work may use."""

    lsr: CPUSet
    """exclusive CPUs of LSR pods, whose idle time is for best-effort work"""
    others: CPUSet

    @property
    def all(self) -> CPUSet:
        """Both parts."""
        return self.lsr | self.others


def usable(signals: Signals, policy: Policy, node: NodeState) -> Usable:
    """CPUs that best-effort work may use on this node now."""
    lse, lsr = _exclusive(signals, node)
    system = CPUSet.parse(node.system_cpus) if node.system_exclusive else NO_CPUS
    drivers = union(cpus for of_pod in node.dra_cpus.values() for cpus in of_pod.values())
    taken = lse | system | drivers | node.kubelet_cpus | node.reserved_cpus | node.kubelet_reserved
    if policy.cpuset.isolated_cpus != "share":
        taken |= node.isolated_cpus
    within = union(CPUSet.parse(pool.cpus) for pool in node.be_pools) or node.all_cpus or signals.cpus
    free = (within & signals.cpus) - taken
    return Usable(free & lsr, free - lsr)


def choose(topology: Topology, count: int, parts: Usable, before: CPUSet | None = None) -> CPUSet:
    """`count` of these CPUs, or all of them if there are not so many. `before`: what was chosen before; None: nothing was."""
    everything = parts.all
    if count >= len(everything):
        return everything
    of_lsr = count * len(parts.lsr) // len(everything)
    return _part(topology, of_lsr, parts.lsr, before) | _part(topology, count - of_lsr, parts.others, before)


def _part(topology: Topology, count: int, free: CPUSet, before: CPUSet | None) -> CPUSet:
    kept = NO_CPUS if before is None else before & free
    if len(kept) >= count:
        return pick(topology, count, kept)
    siblings = _beside(topology, free - kept, kept)
    kept |= CPUSet(list(siblings)[: count - len(kept)])
    return kept | pick(topology, count - len(kept), free - kept, kept)


def pick(topology: Topology, count: int, free: CPUSet, held: CPUSet = NO_CPUS) -> CPUSet:
    """koordlet's choice of `count` CPUs; all of `free` when there are not so many. First come the buckets with the fewest of `held`."""
    buckets = _buckets(topology, free, held)
    chosen: list[int] = []
    turn = 0
    idle = 0
    while buckets and idle < len(buckets) and count - len(chosen) > 1:
        pair = _first_pair(buckets[turn % len(buckets)])
        for cpu in pair:
            buckets[turn % len(buckets)].remove(cpu)
            chosen.append(cpu.cpu)
        idle = 0 if pair else idle + 1
        turn += 1
    idle = 0
    while buckets and idle < len(buckets) and count > len(chosen):
        bucket = buckets[turn % len(buckets)]
        idle = 0 if bucket else idle + 1
        if bucket:
            chosen.append(bucket.pop(0).cpu)
        turn += 1
    return CPUSet(chosen)


def _buckets(topology: Topology, free: CPUSet, held: CPUSet) -> list[list[CPU]]:
    by_place: dict[tuple[int, int], list[CPU]] = {}
    has: dict[tuple[int, int], int] = {}
    for cpu in topology.cpus:
        place = cpu.socket, cpu.numa
        has[place] = has.get(place, 0) + (cpu.cpu in held)
        if cpu.cpu in free:
            by_place.setdefault(place, []).append(cpu)
    for bucket in by_place.values():
        bucket.sort(key=lambda c: (c.core, c.cpu))
    order = sorted(by_place, key=lambda p: (has[p], -len(by_place[p]), min(c.cpu for c in by_place[p])))
    return [by_place[place] for place in order]


def _first_pair(bucket: list[CPU]) -> tuple[CPU, ...]:
    return next(((a, b) for a, b in pairwise(bucket) if a.core == b.core), ())


def _beside(topology: Topology, free: CPUSet, held: CPUSet) -> CPUSet:
    """The free CPUs whose core has a held one."""
    cores = {cpu.core for cpu in topology.cpus if cpu.cpu in held}
    return CPUSet(cpu.cpu for cpu in topology.cpus if cpu.core in cores and cpu.cpu in free)


def _exclusive(signals: Signals, node: NodeState) -> tuple[CPUSet, CPUSet]:
    """Exclusive CPUs: what nobody else may use (LSE, and of pods that have no running container), and LSR pods'."""
    pods = {p.pod.key: p.pod for p in signals.pods.values()}
    lse: list[CPUSet] = []
    lsr: list[CPUSet] = []
    for key, of_pod in node.exclusive_cpus.items():
        is_lsr = key in pods and pods[key].qos is QoSClass.LSR
        (lsr if is_lsr else lse).extend(of_pod.values())
    for pod in pods.values():
        (lse if pod.qos is QoSClass.LSE else lsr).append(assigned_on(pod, node))
    return union(lse), union(lsr)
