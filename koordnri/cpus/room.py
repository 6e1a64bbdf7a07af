"""The free CPUs of a node, and the search among them for one wish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from koordnri.cpus.choice import Wish, choose, choose_fewer, choose_more
from koordnri.cpus.pools import TakenCPUs
from koordnri.model.allocated import Exclusive
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.node import NodeState
from koordnri.model.topology import Topology
from koordnri.policy.koordnri_config import CPUSetOptions
from koordnri.policy.scalars import CORE


class NotEnough(Exception):
    """There are not enough CPUs that fit the wish. The message says how many are free, and why not more."""

    def __init__(self, wish: Wish, problem: str) -> None:
        kind = f" ({wish.bind})" if wish.bind else ""
        super().__init__(f"{wish.cpus} exclusive {'CPU' if wish.cpus == 1 else 'CPUs'}{kind}: {problem}")

    def refusal(self, container: str) -> str:
        """The text with which the reply refuses the container."""
        return f"koordnri: container {container} wants {self}"

    @property
    def shortage(self) -> str:
        """The text for the pod's owner when the container is created all the same."""
        return f"shares CPUs, though it wants {self}"


def usable_cpus(node: NodeState) -> CPUSet:
    """CPUs that containers can run on: online, and in the cgroup of all pods."""
    online = NO_CPUS if node.topology is None else node.topology.online
    return online if node.pods_cpus is None else online & node.pods_cpus


def exclusive_room(node: NodeState) -> CPUSet:
    """CPUs that could be exclusive to somebody, whether somebody has them or not."""
    system = CPUSet.parse(node.system_cpus) if node.system_exclusive else NO_CPUS
    return usable_cpus(node) - node.reserved_cpus - node.kubelet_reserved - node.isolated_cpus - system


class Room(NamedTuple):
    """The CPUs that no container has."""

    topology: Topology
    shared: CPUSet
    """the present share pool; `least` of it must stay"""
    isolated: CPUSet
    """in no share pool, and may be given"""
    least: int

    @classmethod
    def of(cls, node: NodeState, options: CPUSetOptions, taken: TakenCPUs) -> Room:
        """The room of a node whose topology is known."""
        topology = node.topology
        if topology is None:
            raise ValueError("expected a node whose topology is known")
        free = usable_cpus(node) - taken.all
        kept_out = NO_CPUS if options.isolated_cpus == "share" else node.isolated_cpus
        least = node.threads_per_core if options.min_shared_cpus == CORE else int(options.min_shared_cpus)
        return cls(topology, free - kept_out, free & kept_out if options.isolated_cpus == "own" else NO_CPUS, least)

    @property
    def spare(self) -> int:
        """How many CPUs of the share pool may be given."""
        return max(len(self.shared) - self.least, 0)

    def not_enough(self, wish: Wish) -> NotEnough:
        """The error for a wish that cannot be met."""
        free = self.shared | self.isolated
        which = f" ({free})" if free else ""
        keep = f", of which {self.least} stay shared (minSharedCPUs)" if self.shared and self.least else ""
        return NotEnough(wish, f"{len(free)} of {len(self.topology.online)} are free{which}{keep}")


def fewer(node: NodeState, cpus: CPUSet, wish: Wish) -> CPUSet:
    """The CPUs that a container keeps when it wants fewer."""
    return cpus if node.topology is None or len(cpus) <= wish.cpus else choose_fewer(node.topology, cpus, wish)


def find(
    room: Room,
    wishes: Sequence[Wish],
    have: CPUSet,
    spent: CPUSet,
    former: CPUSet,
    others: Iterable[tuple[CPUSet, Exclusive]],
    near: CPUSet = NO_CPUS,
) -> tuple[Wish, CPUSet]:
    """(the wish that is met, all CPUs of the container, including `have`).

    have     CPUs that it has; more are chosen near them
    spent    CPUs of the pod's ended init containers: used first, and not counted against what stays shared
    former   CPUs that it had before its pod ended: chosen again if free
    others   (exclusive CPUs, wish) of other containers
    near     CPUs that are preferred, if enough of them fit a wish; empty: none are

    Raises NotEnough.
    """
    others = list(others)
    if not have and len(former) == wishes[0].cpus and _fits(room, former, spent):
        return wishes[0], former
    for wish in wishes:
        places = list(_places(room, wish, have, spent))
        for free in (*(place & near for place in places if near), *places):
            more = _choose(room.topology, free, have, spent, wish, others)
            if more is not None and _fits(room, more, spent):
                return wish, have | more
    raise room.not_enough(wishes[-1])


def _places(room: Room, wish: Wish, have: CPUSet, spent: CPUSet) -> Iterable[CPUSet]:
    """Sets of CPUs to search, the best first."""
    missing = wish.cpus - len(have)
    if spent and len(spent) >= missing:
        yield spent
    if len(room.isolated) >= missing:
        yield room.isolated
    if room.spare + len(spent) >= missing:
        yield room.shared | spent


def _choose(
    topology: Topology, free: CPUSet, have: CPUSet, spent: CPUSet, wish: Wish, others: list[tuple[CPUSet, Exclusive]]
) -> CPUSet | None:
    """The missing CPUs. All spent ones are used if more are wanted: otherwise the pod would hold both."""
    if have:
        return choose_more(topology, free, have, wish, others)
    first = spent & free
    if wish.bind != "FullPCPUs" and first and len(first) < wish.cpus:
        more = choose_more(topology, free - first, first, wish, others)
        if more is not None:
            return first | more
    return choose(topology, free, wish, others)


def _fits(room: Room, cpus: CPUSet, spent: CPUSet) -> bool:
    """Whether the CPUs may be given: they are free, and enough stay shared."""
    new = cpus - spent - room.isolated
    return new <= room.shared and len(new) <= room.spare
