"""What must not be on a node, though nothing has failed outright: two owners of one CPU, an empty share pool, values that do not hold.

Pure: the functions get what was observed. `koordnri status` shows the result, and scripts stop a roll-out by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import combinations
from typing import NamedTuple

from koordnri.answers.cpu_owners import CPUOwner, CPUUser
from koordnri.cpus.choice import choose, numa_nodes
from koordnri.cpus.room import exclusive_room
from koordnri.model import CPUSet, NodeState
from koordnri.model.cpuset import NO_CPUS

TWO_OWNERS = "TwoOwners"
"""two containers have the same exclusive CPU"""
NOT_CLEAR = "NotClear"
"""a container without exclusive CPUs runs on those of another one"""
POOL_EMPTY = "SharePoolEmpty"
"""a share pool has no CPU left and uses taken ones"""
CROSSED_NUMA = "CrossedNUMA"
"""exclusive CPUs are spread over more NUMA nodes than they would need now"""
SHARED_PLACE = "SharedPlace"
"""two containers that want a core, or a NUMA node, alone share one"""
UNVERIFIED = "Unverified"
"""a file does not take its decided value"""
UNRECORDED = "Unrecorded"
"""the runtime refuses to store written values"""
DRIFT_RETURNS = "DriftReturns"
"""somebody else writes a file again and again"""

KINDS = (
    TWO_OWNERS,
    NOT_CLEAR,
    POOL_EMPTY,
    CROSSED_NUMA,
    SHARED_PLACE,
    UNVERIFIED,
    UNRECORDED,
    DRIFT_RETURNS,
)


class Violation(NamedTuple):
    """One violation; `pod` is NAMESPACE/NAME, or "" when the node or a QoS class is concerned, `container` may be ""."""

    kind: str
    pod: str
    container: str
    message: str


class OwnerProblem(NamedTuple):
    """Something that the reconciler found about an owner."""

    pod: str
    container: str
    message: str


class Observed(NamedTuple):
    """What the CPUs of a node are checked by. `users`: started containers."""

    node: NodeState
    owners: Sequence[CPUOwner] = ()
    users: Sequence[CPUUser] = ()


def cpu_violations(seen: Observed) -> list[Violation]:
    """Violations about CPUs, by kind in the order of KINDS."""
    return [
        *_two_owners(seen.owners),
        *_not_clear(seen),
        *_empty_pools(seen.node),
        *_crossed_numa(seen),
        *_shared_places(seen),
    ]


def file_violations(
    not_applied: Iterable[OwnerProblem], unrecorded: Iterable[OwnerProblem], returning: Iterable[OwnerProblem]
) -> list[Violation]:
    """Violations about values of files, by kind in the order of KINDS."""
    return [
        *(Violation(UNVERIFIED, *finding) for finding in not_applied),
        *(Violation(UNRECORDED, *finding) for finding in unrecorded),
        *(Violation(DRIFT_RETURNS, *finding) for finding in returning),
    ]


def _two_owners(owners: Sequence[CPUOwner]) -> Iterator[Violation]:
    for i, j in _overlaps([owner.cpus.mask for owner in owners]):
        one, other = owners[i], owners[j]
        if not _same_owner(one, other):
            yield Violation(
                TWO_OWNERS,
                one.pod,
                one.container,
                f"CPUs {one.cpus & other.cpus}, given by {one.by}, are also exclusive to {other.title}, by {other.by};"
                " delete one of the two pods",
            )


def _overlaps(masks: Sequence[int]) -> list[tuple[int, int]]:
    """Indices of each two bit masks with a common bit, ascending. Not all pairs are compared: the time grows with masks and results."""
    seen = shared = 0
    for mask in masks:
        shared |= seen & mask
        seen |= mask
    if not shared:
        return []  # usual
    at: dict[int, list[int]] = {}  # CPU → indices of the masks with it
    for index, mask in enumerate(masks):
        for cpu in CPUSet.of_mask(mask & shared):
            at.setdefault(cpu, []).append(index)
    return sorted({pair for indices in at.values() for pair in combinations(indices, 2)})


def _same_owner(one: CPUOwner, other: CPUOwner) -> bool:
    """A pod's CPUs are its containers', too."""
    return one.pod == other.pod and (not one.container or not other.container or one.container == other.container)


def _not_clear(seen: Observed) -> Iterator[Violation]:
    if seen.node.empty_pools:
        return  # then a pool uses taken CPUs, which is one violation, not one per container
    running = [owner for owner in seen.owners if owner.runs]
    # Whether the user is batch work → owners whose CPUs it must leave.
    against = {True: [owner for owner in running if owner.lse], False: running}
    closed = {batch: _all_cpus(owners) for batch, owners in against.items()}
    owning = {(owner.pod, owner.container) for owner in seen.owners}
    found: dict[
        CPUOwner, list[tuple[CPUUser, CPUSet]]
    ] = {}  # one violation per owner: a node that clears nothing has thousands of pairs
    for user in seen.users:
        if not user.cpus & closed[user.batch] or not owning.isdisjoint({(user.pod, ""), (user.pod, user.container)}):
            continue
        for owner in against[user.batch]:
            if shared := owner.cpus & user.cpus:
                found.setdefault(owner, []).append((user, shared))
    for owner, there in found.items():
        user, shared = there[0]
        more = f" and {len(there) - 1} other containers run" if len(there) > 1 else " runs"
        yield Violation(
            NOT_CLEAR,
            owner.pod,
            owner.container,
            f"{user.pod} {user.container}{more} on CPUs {shared}, too; see whether its cpuset could be written (log, QoSNotApplied), "
            "or it was released",
        )


def _empty_pools(node: NodeState) -> Iterator[Violation]:
    for pool in node.empty_pools:
        problem = next(
            (p for p in node.problems if f"share pool of {pool} " in p), f"the share pool of {pool} is empty"
        )
        yield Violation(POOL_EMPTY, "", "", problem)


def _crossed_numa(seen: Observed) -> Iterator[Violation]:
    topology = seen.node.topology
    if topology is None:
        return
    free = exclusive_room(seen.node) - seen.node.kubelet_cpus - _all_cpus(seen.owners)
    wishes = [(owner.cpus, owner.wish.exclusive) for owner in seen.owners]
    for i, owner in enumerate(seen.owners):
        nodes = numa_nodes(topology, owner.cpus)
        if len(nodes) < 2:
            continue
        others = wishes[:i] + wishes[i + 1 :]
        now = choose(topology, free | (owner.cpus & topology.online), owner.wish, others)
        if now is not None and len(best := numa_nodes(topology, now)) < len(nodes):
            yield Violation(
                CROSSED_NUMA,
                owner.pod,
                owner.container,
                f"its CPUs {owner.cpus} are on NUMA nodes {nodes}; CPUs {now} are on {best} only: create the pod again to get them",
            )


def _shared_places(seen: Observed) -> Iterator[Violation]:
    topology = seen.node.topology
    if topology is None:
        return
    for level, what in (("PCPULevel", "a core"), ("NUMANodeLevel", "a NUMA node")):
        place_of = {c.cpu: c.core if level == "PCPULevel" else c.numa for c in topology.cpus}
        first: dict[int, CPUOwner] = {}  # place → the first owner there
        for owner in seen.owners:
            if owner.wish.exclusive != level:
                continue
            places = {place_of[cpu] for cpu in owner.cpus if cpu in place_of}
            for other in dict.fromkeys(first.setdefault(place, owner) for place in sorted(places)):
                if not _same_owner(owner, other):
                    yield Violation(
                        SHARED_PLACE,
                        other.pod,
                        other.container,
                        f"it wants {what} alone ({level}), and shares one with {owner.title}: CPUs {other.cpus} and {owner.cpus}",
                    )


def _all_cpus(owners: Sequence[CPUOwner]) -> CPUSet:
    return reduce(CPUSet.__or__, (owner.cpus for owner in owners), NO_CPUS)
