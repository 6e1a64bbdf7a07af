"""What a node has left to give, and the CPUs that are found there for one wish."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from koordnri.cpus.choice import Wish, choose, choose_more
from koordnri.cpus.pools import Taken
from koordnri.model.allocated import Exclusive
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.node import NodeState
from koordnri.model.topology import Topology
from koordnri.policy.koordnri_config import CPUSetOptions
from koordnri.policy.scalars import CORE


class NotEnough(Exception):
    """There are not so many CPUs of the kind that is wanted; the message says how many, and why there are no more."""

    def __init__(self, wish: Wish, problem: str) -> None:
        kind = f" ({wish.bind})" if wish.bind else ""
        super().__init__(f"{wish.cpus} exclusive {'CPU' if wish.cpus == 1 else 'CPUs'}{kind}: {problem}")

    def refusal(self, container: str) -> str:
        """What the runtime is told where such a container is not to be created."""
        return f"koordnri: container {container} wants {self}"

    @property
    def shortage(self) -> str:
        """What the pod's owner is told of the container where it is created all the same."""
        return f"shares CPUs, though it wants {self}"


class Room(NamedTuple):
    """What nobody has."""

    topology: Topology
    shared: CPUSet
    """the share pool as it is now; `least` of it stay"""
    isolated: CPUSet
    """in no share pool, and may be given"""
    least: int

    @classmethod
    def of(cls, node: NodeState, options: CPUSetOptions, taken: Taken) -> Room:
        """The room of a node whose topology is known."""
        topology = node.topology
        if topology is None:
            raise ValueError("expected a node whose topology is known")
        usable = topology.online if node.pods_cpus is None else topology.online & node.pods_cpus
        free = usable - taken.all
        kept_out = NO_CPUS if options.isolated_cpus == "share" else node.isolated_cpus
        least = node.threads_per_core if options.min_shared_cpus == CORE else int(options.min_shared_cpus)
        return cls(topology, free - kept_out, free & kept_out if options.isolated_cpus == "own" else NO_CPUS, least)

    @property
    def spare(self) -> int:
        """How many of the shared CPUs may be given."""
        return max(len(self.shared) - self.least, 0)

    def not_enough(self, wish: Wish) -> NotEnough:
        """Why the wish cannot be had."""
        free = self.shared | self.isolated
        which = f" ({free})" if free else ""
        keep = f", of which {self.least} stay shared (minSharedCPUs)" if self.shared and self.least else ""
        return NotEnough(wish, f"{len(free)} of {len(self.topology.online)} are free{which}{keep}")


def find(
    room: Room,
    wishes: Sequence[Wish],
    have: CPUSet,
    spent: CPUSet,
    former: CPUSet,
    others: Iterable[tuple[CPUSet, Exclusive]],
) -> tuple[Wish, CPUSet]:
    """(the wish that is fulfilled, all CPUs that the container has then, `have` among them).

    have     what it has already; more is found next to it
    spent    what the pod's init containers had: used again first, and never counted against what stays shared
    former   what it had before its pod ended: the same again, if that is free
    others   who has CPUs of his own, and what he wished

    Raises NotEnough.
    """
    others = list(others)
    if not have and len(former) == wishes[0].cpus and _fits(room, former, spent):
        return wishes[0], former
    for wish in wishes:
        for free in _places(room, wish, have, spent):
            more = _choose(room.topology, free, have, spent, wish, others)
            if more is not None and _fits(room, more, spent):
                return wish, have | more
    raise room.not_enough(wishes[-1])


def _places(room: Room, wish: Wish, have: CPUSet, spent: CPUSet) -> Iterable[CPUSet]:
    """Where to look, the best first."""
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
    """What is missing. Of what is spent all, where more than that is wanted: else the pod would hold both."""
    if have:
        return choose_more(topology, free, have, wish, others)
    first = spent & free
    if wish.bind != "FullPCPUs" and first and len(first) < wish.cpus:
        more = choose_more(topology, free - first, first, wish, others)
        if more is not None:
            return first | more
    return choose(topology, free, wish, others)


def _fits(room: Room, cpus: CPUSet, spent: CPUSet) -> bool:
    """Whether the CPUs may be given: free, and enough stay shared."""
    new = cpus - spent - room.isolated
    return new <= room.shared and len(new) <= room.spare
