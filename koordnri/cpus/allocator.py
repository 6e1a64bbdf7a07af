"""Exclusive CPUs that this node gave to containers, for clusters where no koord-scheduler assigns CPUs.

The owner is (pod uid, container name), not a sandbox: a new sandbox of the same pod gets its CPUs back. Life of a holding:

    give       CreateContainer: the container has them from its start; the others leave them before
    resize     kubelet resizes in place: fewer at once, more later (as in promote)
    promote    a running container shares: CPUs are reserved (`coming`), the others leave them, then `arrive`
    spend      an init container has ended: the pod's next containers use its CPUs again
    forget_pod the pod has ended: all are free

Mutable, like the ledger. Writers hold a lock and replace whole mappings by single assignments, so that readers need no lock. They do so
on the event path and have hundreds of entries: `dict.copy` and `|` take a tenth of what `{**x}` and comprehensions take.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from koordnri.cpus.assignments import Assignment, Assignments, Pins, Settled, settle
from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.near_gpus import cpus_near_gpus
from koordnri.cpus.node_view import DRACPUs, NodeView, taken_cpus
from koordnri.cpus.over_limits import over_limits
from koordnri.cpus.room import NotEnough, Room, fewer, find, usable_cpus
from koordnri.cpus.wish import WantedCPUs, pod_limit, wanted_by
from koordnri.model import CPUSet, NodeState, Pod, QoSClass
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.cpuset import NO_CPUS, union
from koordnri.model.resources import Resources
from koordnri.model.verdict import Verdict
from koordnri.policy.koordnri_config import CPUSetOptions
from koordnri.policy.trust_options import NO_LIMITS, ExclusiveTrust

MOST_FORMER = 1000
"""Ended pods whose CPUs are remembered, in case their uid returns with a new sandbox."""
_DEFAULTS = CPUSetOptions()
NO_NAMESPACES: Mapping[str, str] = MappingProxyType({})
T = TypeVar("T")


class Allocator:
    """Keyed by `Pod.key` and container name."""

    def __init__(self) -> None:
        self._held: dict[str, Mapping[str, Holding]] = {}
        self._dra: dict[str, Mapping[str, CPUSet]] = {}
        self._assignments: dict[str, Assignment] = {}
        self._pins: Pins = {}
        self._settled: tuple[Assignments, Holdings, DRACPUs, Pins, Settled] = ({}, {}, {}, {}, Settled({}, {}))
        """the last result of weighing assignments, and what it was computed from"""
        self._lacking: dict[str, Mapping[str, str]] = {}
        """key → LSE or LSR container without exclusive CPUs → why"""
        self._namespaces: dict[str, str] = {}
        """key → the pod's namespace, of pods with holdings"""
        self._former: OrderedDict[str, Mapping[str, Holding]] = OrderedDict()
        self._view = NodeView()
        self._lock = threading.Lock()

    # -- views --------------------------------------------------------------------------------------------------------

    @property
    def held(self) -> Holdings:
        """Key of the pod → container name → holding. Read only."""
        return self._held

    def holding(self, pod: Pod, name: str) -> Holding | None:
        """A container's holding; None when it has none."""
        return self._held.get(pod.key, {}).get(name)

    @property
    def lacking(self) -> Mapping[str, Mapping[str, str]]:
        """Key of the pod → LSE or LSR container with no exclusive CPUs, or fewer than it wants → why. Read only."""
        return self._lacking

    def copy(self) -> Allocator:
        """An allocator with the same holdings, for trying something."""
        other = Allocator()
        with self._lock:
            other._held, other._dra, other._assignments = self._held, self._dra, self._assignments
            other._lacking, other._former = self._lacking, self._former.copy()
            other._namespaces, other._pins = self._namespaces, self._pins
        return other

    # -- a container's CPUs -------------------------------------------------------------------------------------------

    def give(
        self,
        pod: Pod,
        name: str,
        baseline: Resources,
        node: NodeState,
        options: CPUSetOptions = _DEFAULTS,
        limits: ExclusiveTrust = NO_LIMITS,
    ) -> Holding | None:
        """CPUs for a new container; None when it wants none. A container that is created again gets the same ones.

        Raises NotEnough.
        """
        wanted = wanted_by(pod, name, baseline)
        with self._lock:
            self._note_lack(pod.key, name, wanted.why_not)
            if node.topology is None or not wanted.wishes:
                self._drop(pod.key, name)
                return None
            had = self._held.get(pod.key, {}).get(name)
            if had is not None and len(had.cpus) >= wanted.cpus and had.cpus <= usable_cpus(node):
                kept = fewer(node, had.cpus, wanted.wishes[0])
                self._hold(pod.key, name, had._replace(cpus=kept, spent=False, coming=NO_CPUS))
                return self._held[pod.key][name]
            self._drop(pod.key, name)
            try:
                self._check_limits(pod, name, wanted, limits)
                return self._find(pod, name, wanted, node, options, at_once=True)
            except NotEnough as error:
                if had is None or not had.cpus & usable_cpus(node):
                    raise
                kept = fewer(node, had.cpus, wanted.wishes[0])  # too many, or some of them offline
                self._hold(pod.key, name, had._replace(cpus=kept, spent=False, coming=NO_CPUS))
                self._note_lack(pod.key, name, str(error))
                return self._held[pod.key][name]

    def resize(
        self, pod: Pod, name: str, baseline: Resources, node: NodeState, options: CPUSetOptions = _DEFAULTS
    ) -> bool:
        """kubelet resized a running container. Surplus CPUs are free at once; `promote` finds missing ones.

        Returns whether anything has changed.
        """
        wanted = wanted_by(pod, name, baseline)
        with self._lock:
            had = self._held.get(pod.key, {}).get(name)
            self._note_lack(pod.key, name, wanted.why_not)
            if had is None or len(had.all) <= wanted.cpus or node.topology is None:
                return had is None and bool(wanted.wishes)
            if not wanted.wishes:
                self._drop(pod.key, name)
                return True
            kept = fewer(node, had.cpus, wanted.wishes[0])
            coming = CPUSet(list(had.coming)[: wanted.cpus - len(kept)])
            self._hold(pod.key, name, had._replace(cpus=kept, coming=coming))
            return True

    def promote(
        self,
        pod: Pod,
        name: str,
        baseline: Resources,
        node: NodeState,
        options: CPUSetOptions = _DEFAULTS,
        limits: ExclusiveTrust = NO_LIMITS,
    ) -> bool:
        """Reserve the exclusive CPUs that a running container lacks, near those that it can use. It gets them by `arrive`.

        Returns whether something was reserved. Raises NotEnough.
        """
        wanted = wanted_by(pod, name, baseline)
        with self._lock:
            had = self._held.get(pod.key, {}).get(name)
            usable = NO_CPUS if had is None else had.all & usable_cpus(node)
            if had is not None and not usable:
                self._drop(pod.key, name)  # all its CPUs went offline, or out of the pods' cgroup
            if not wanted.wishes or node.topology is None:
                return False
            if len(usable) >= wanted.cpus:
                self._note_lack(pod.key, name, "")  # what it lacked may have come back by itself
                return False
            self._check_limits(pod, name, wanted, limits)
            self._find(pod, name, wanted, node, options, at_once=False)
            return True

    def coming(self) -> list[tuple[str, str]]:
        """(key, container) with reserved CPUs that others have yet to leave."""
        return [(key, name) for key, of_pod in self._held.items() for name, h in of_pod.items() if h.coming]

    def arrive(self, owners: Collection[tuple[str, str]]) -> list[tuple[str, str, Holding]]:
        """All others have left the CPUs reserved for these owners. Returns the owners that still exist, with their new holdings."""
        arrived = []
        with self._lock:
            for key, name in owners:
                had = self._held.get(key, {}).get(name)
                if had is not None and had.coming:
                    holding = had._replace(cpus=had.all, coming=NO_CPUS)
                    self._hold(key, name, holding)
                    self._note_lack(key, name, "")
                    arrived.append((key, name, holding))
        return arrived

    def lack(self, pod: Pod, name: str, why: str) -> bool:
        """Store why a container has no exclusive CPUs, or fewer than it wants; "" when it lacks none. Returns whether that changed."""
        with self._lock:
            return self._note_lack(pod.key, name, why)

    # -- ends ---------------------------------------------------------------------------------------------------------

    def spend(self, pod: Pod, name: str) -> None:
        """A container of the pod has ended for good (an init container): the pod's next containers use its CPUs again."""
        with self._lock:
            if (had := self._held.get(pod.key, {}).get(name)) is not None:
                self._hold(pod.key, name, had._replace(spent=True, coming=NO_CPUS))

    def drop_spent(self, pod: Pod) -> bool:
        """No further container of the pod will be created: its init containers' CPUs are free. Returns whether there were any."""
        with self._lock:
            of_pod = self._held.get(pod.key, {})
            left = {name: h for name, h in of_pod.items() if not h.spent}
            if len(left) == len(of_pod):
                return False
            self._set_pod(pod.key, left)
            return True

    def forget_pod(self, key: str) -> bool:
        """The pod has ended and all its CPUs are free. Returns whether there were any."""
        with self._lock:
            had = self._held.get(key)
            if had:
                self._former[key] = had
                self._former.move_to_end(key)
                while len(self._former) > MOST_FORMER:
                    self._former.popitem(last=False)
            found = bool(had) or key in self._dra or key in self._assignments
            self._held, self._dra = _without(self._held, key), _without(self._dra, key)
            self._namespaces = _without(self._namespaces, key)
            self._assignments, self._lacking = _without(self._assignments, key), _without(self._lacking, key)
        return found

    def take_back(self, key: str) -> None:
        """Free the pod's CPUs, as if its containers were not created yet."""
        with self._lock:
            self._held, self._lacking = _without(self._held, key), _without(self._lacking, key)

    def restore(self, held: Holdings, namespaces: Mapping[str, str] = NO_NAMESPACES) -> None:
        """Synchronize: these are all holdings (koordnri.cpus.restore), and the namespaces of their pods by key."""
        with self._lock:
            self._namespaces = {key: namespaces[key] for key in held if key in namespaces}
            self._held, self._dra, self._assignments, self._lacking = dict(held), {}, {}, {}

    # -- CPUs from others ---------------------------------------------------------------------------------------------

    def note_pod(self, pod: Pod) -> bool:
        """The pod started or changed: keep what a scheduler assigned to it. Returns whether that differs from before."""
        if RESOURCE_STATUS.key not in pod.annotations and pod.key not in self._assignments:
            return False  # most pods: no scheduler assigns them CPUs, and none did
        noted = Assignment.of(pod)
        with self._lock:
            before = self._assignments.get(pod.key)
            if (before is None and not noted.cpus) or before == noted:
                return False
            if noted.cpus:  # a scheduler assigns CPUs now, so those that we gave are free
                self._held, self._lacking = _without(self._held, pod.key), _without(self._lacking, pod.key)
            # Other CPUs come last, as a new assignment would: those that somebody else has by now stay theirs.
            others = self._assignments if before and before.cpus == noted.cpus else _without(self._assignments, pod.key)
            self._assignments = others | {pod.key: noted} if noted.cpus else others
        return True

    def disputed(self, pod: Pod) -> Verdict | None:
        """The verdict on the pod's assignment if it names CPUs of another pod."""
        return self._settle().disputed.get(pod.key) if pod.key in self._assignments else None

    def note_dra(self, key: str, name: str, cpus: CPUSet) -> bool:
        """A DRA driver gave these CPUs to a container. Returns whether that is new."""
        with self._lock:
            of_pod = self._dra.get(key, {})
            if of_pod.get(name) == cpus:
                return False
            self._dra = self._dra | {key: {**of_pod, name: cpus}}
            return True

    def forget_dra(self, key: str) -> Mapping[str, CPUSet]:
        """No DRA driver gave this pod CPUs after all. Returns what was kept of its containers."""
        with self._lock:
            noted = self._dra.get(key, {})
            self._dra = _without(self._dra, key)
        return noted

    def note_pins(self, pins: Pins) -> None:
        """kubelet's static CPU manager pinned these containers. A mapping that was noted is not changed any more."""
        self._pins = pins

    # -- the node -----------------------------------------------------------------------------------------------------

    def applied(
        self, node: NodeState, options: CPUSetOptions = _DEFAULTS, observed: ExclusiveTrust = NO_LIMITS
    ) -> NodeState:
        """The node with all holdings, and, unless Koordinator publishes share pools, with pools of what is left. It replaces what an
        earlier call put in. If one of a container's CPUs goes offline, it keeps the rest.

        observed   limits that are reported, and not enforced
        """
        settled = self._settle()
        node = self._view.of(node, options, self._held, settled.assigned, self._dra, self._lacking)
        if settled.disputed or node.disputed_cpus:
            node = replace(node, disputed_cpus=settled.disputed)
        over = over_limits(self._held, self._namespaces, observed)
        return replace(node, over_limits=over) if over or node.over_limits else node

    def _settle(self) -> Settled:
        """Which assignments hold; computed once for what there is."""
        now, (*known, settled) = (self._assignments, self._held, self._dra, self._pins), self._settled
        if any(a is not b for a, b in zip(now, known, strict=True)):
            settled = settle(*now)
            self._settled = (*now, settled)
        return settled

    # -- under the lock -----------------------------------------------------------------------------------------------

    def _find(
        self, pod: Pod, name: str, wanted: WantedCPUs, node: NodeState, options: CPUSetOptions, *, at_once: bool
    ) -> Holding:
        """Choose the missing CPUs and hold them. Raises NotEnough."""
        key, of_pod = pod.key, self._held.get(pod.key, {})
        usable = usable_cpus(node)
        # Others take the place of what went offline, or out of the pods' cgroup.
        had = of_pod.get(name, Holding(NO_CPUS)).within(usable)
        self._check_pod_limit(pod, name, wanted)
        room = Room.of(node, options, taken_cpus(node, self._held, self._settle().assigned, self._dra))
        spent = union(h.cpus for h in of_pod.values() if h.spent) & usable
        former = self._former.get(key, {}).get(name)
        others = (
            []
            if not any(w.exclusive for w in wanted.wishes)
            else [
                (h.all, h.exclusive)
                for k, of in self._held.items()
                for n, h in of.items()
                if (k, n) != (key, name) and not h.spent
            ]
        )
        was, near = NO_CPUS if former is None else former.cpus, cpus_near_gpus(pod, node)
        wish, cpus = find(room, wanted.wishes, had.all, spent, was, others, near)
        new = cpus - had.all
        lse = pod.qos is QoSClass.LSE
        holding = (
            Holding(had.cpus | new, wish.exclusive, lse)
            if at_once
            else Holding(had.cpus, wish.exclusive, lse, had.coming | new)
        )
        # CPUs of the pod's ended init containers that are used again are no longer theirs.
        left = {n: h._replace(cpus=h.cpus - new) if h.spent else h for n, h in of_pod.items()}
        self._set_pod(key, {**{n: h for n, h in left.items() if h.all}, name: holding})
        if self._namespaces.get(key) != pod.namespace:
            self._namespaces = self._namespaces | {key: pod.namespace}
        if at_once:
            self._note_lack(key, name, "")
        return holding

    def _check_limits(self, pod: Pod, name: str, wanted: WantedCPUs, limits: ExclusiveTrust) -> None:
        """Raises NotEnough where the policy's trust rules allow no more exclusive CPUs."""
        if limits.max_exclusive is None and limits.max_per_namespace is None:
            return
        counts = {
            key: sum(len(h.all) for n, h in of_pod.items() if not h.spent and (key, n) != (pod.key, name))
            for key, of_pod in self._held.items()
        }
        of_namespace = sum(n for key, n in counts.items() if self._namespaces.get(key) == pod.namespace)
        for most, have, where, key in (
            (limits.max_exclusive, sum(counts.values()), "the node", "maxExclusive"),
            (limits.max_per_namespace, of_namespace, f"namespace {pod.namespace} on this node", "maxPerNamespace"),
        ):
            if most is not None and have + wanted.cpus > most:
                problem = f"{where} may have {most} (trust.exclusiveCPUs.{key}), and has {have}"
                raise NotEnough(wanted.wishes[0], problem)

    def _check_pod_limit(self, pod: Pod, name: str, wanted: WantedCPUs) -> None:
        limit = pod_limit(pod)
        if limit is None:
            return
        held = union(h.all for n, h in self._held.get(pod.key, {}).items() if n != name and not h.spent)
        if len(held) + wanted.cpus > limit:
            have = f", of which its other containers have {len(held)}" if held else ""
            raise NotEnough(wanted.wishes[0], f"its pod requests {limit} in all{have}")

    def _hold(self, key: str, name: str, holding: Holding) -> None:
        self._held = self._held | {key: {**self._held.get(key, {}), name: holding}}

    def _drop(self, key: str, name: str) -> None:
        if name in self._held.get(key, {}):
            self._set_pod(key, {n: h for n, h in self._held[key].items() if n != name})

    def _set_pod(self, key: str, of_pod: Mapping[str, Holding]) -> None:
        self._held = self._held | {key: of_pod} if of_pod else _without(self._held, key)

    def _note_lack(self, key: str, name: str, why: str) -> bool:
        of_pod = self._lacking.get(key, {})
        if of_pod.get(name, "") == why:
            return False
        new = {n: w for n, w in of_pod.items() if n != name} | ({name: why} if why else {})
        self._lacking = self._lacking | {key: new} if new else _without(self._lacking, key)
        return True


def _without(mapping: dict[str, T], key: str) -> dict[str, T]:
    if key not in mapping:
        return mapping
    left = mapping.copy()
    del left[key]
    return left
