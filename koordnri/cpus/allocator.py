"""CPUs that this node gave to single containers, for clusters where no koord-scheduler assigns them.

Mutable, as the ledger is: changed under a lock, one assignment of a whole new mapping at a time, so that readers take none. What was
given stays with the container's name until its pod goes, so that a restarted container finds its CPUs again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, cast

from koordnri.cpus.choice import Exclusive, Wish, choose
from koordnri.cpus.pools import Pools, Taken, share_pools
from koordnri.cpus.wish import EXCLUSIVES, may_wish, wishes_of
from koordnri.model import AnnotationError, CPUSet, NodeState, Pod, QoSClass
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.resources import Resources
from koordnri.policy import Policy


class Given(NamedTuple):
    """What one container has for itself."""

    cpus: CPUSet
    exclusive: Exclusive = ""
    lse: bool = False

    def __str__(self) -> str:
        """As it is noted with the container: `2-3 PCPULevel`."""
        return f"{self.cpus} {self.exclusive}".rstrip()


class NotEnough(Exception):
    """There are not so many CPUs left of the kind that is wanted; the message says how many there are."""

    def refusal(self, container: str) -> str:
        """What the runtime is told where such a container is not to be created."""
        return f"koordnri: container {container} wants {self}"

    @property
    def shortage(self) -> str:
        """What the pod's owner is told of the container where it is created all the same."""
        return f"shares CPUs, though it wants {self}"


def may_give(pod: Pod, policy: Policy, node: NodeState) -> bool:
    """Whether a pod's containers are to be given CPUs at all: not where somebody else assigns them, or nobody is to."""
    if not may_wish(pod) or policy.hook_mode("cpuset") != "enforce" or not policy.cpuset.allocate:
        return False
    published = bool(node.ls_pools or node.be_pools) and not node.pools_are_local
    if published or node.kubelet_cpu_policy == "static" or pod.namespace in policy.namespaces_left_alone:
        return False
    return not node.released & {"*", pod.id}


class Allocator:
    """Keyed by pod id and container name."""

    def __init__(self) -> None:
        self._given: Mapping[str, Mapping[str, Given]] = {}
        self._dra: Mapping[str, Mapping[str, CPUSet]] = {}
        """likewise, of CPUs that a DRA driver gave"""
        self._lock = threading.Lock()

    @property
    def given(self) -> Mapping[str, Mapping[str, Given]]:
        """Pod id → container name → what it has. Not to be changed."""
        return self._given

    def give(self, pod: Pod, name: str, baseline: Resources, node: NodeState, pods: Iterable[Pod]) -> Given | None:
        """CPUs for a container that is about to be created; None when it wants none for itself. What it had before a restart it has.

        pods   all that are on the node: what a scheduler assigned to them is not free
        Raises NotEnough, and AnnotationError for a wish that cannot be read.
        """
        if not may_wish(pod) or node.topology is None:
            return None
        had = self._given.get(pod.id, {}).get(name)
        wishes = wishes_of(pod, baseline)
        if had is not None and wishes and len(list(had.cpus)) == wishes[0].cpus and had.cpus <= node.topology.online:
            return had
        if not wishes:
            return None
        with self._lock:
            self._forget(pod.id, name)
            taken = self._taken(node, pods)
            free = node.topology.online - taken.own - taken.node
            others = [(g.cpus, g.exclusive) for of_pod in self._given.values() for g in of_pod.values()]
            for wish in wishes:
                cpus = choose(node.topology, free, wish, others)
                if cpus is not None:
                    given = Given(cpus, wish.exclusive, pod.qos is QoSClass.LSE)
                    self._given = {**self._given, pod.id: {**self._given.get(pod.id, {}), name: given}}
                    return given
        wanted, which = wishes[0].cpus, f" ({free})" if free else ""
        raise NotEnough(
            f"{wanted} {'CPU' if wanted == 1 else 'CPUs'} of its own{_kind(wishes[-1])}: {len(list(free))} of "
            f"{len(list(node.topology.online))} are free{which}"
        )

    def copy(self) -> Allocator:
        """One that has given the same, to try something on."""
        other = Allocator()
        with self._lock:
            other._given, other._dra = self._given, self._dra
        return other

    def take_back(self, pod_id: str) -> None:
        """What the pod was given is free, as if its containers had yet to be created."""
        with self._lock:
            self._given = {p: of for p, of in self._given.items() if p != pod_id}

    def note_dra(self, pod_id: str, name: str, cpus: CPUSet) -> None:
        """A DRA driver gave these to a container."""
        with self._lock:
            self._dra = {**self._dra, pod_id: {**self._dra.get(pod_id, {}), name: cpus}}

    def forget_dra(self, pod_id: str) -> Mapping[str, CPUSet]:
        """No DRA driver gave a pod anything after all. What was noted of its containers."""
        with self._lock:
            noted = self._dra.get(pod_id, {})
            self._dra = {p: of for p, of in self._dra.items() if p != pod_id}
        return noted

    def forget_pod(self, pod_id: str) -> bool:
        """The pod is gone. Whether it had any."""
        with self._lock:
            if pod_id not in self._given and pod_id not in self._dra:
                return False
            self._given = {p: of for p, of in self._given.items() if p != pod_id}
            self._dra = {p: of for p, of in self._dra.items() if p != pod_id}
        return True

    def restore(self, found: Iterable[tuple[Pod, str, str]]) -> None:
        """Synchronize: (pod, container, what it has, as noted with it) are all there are. Who claims what another has keeps nothing, nor
        does a pod of another class: somebody else wrote that note.
        """
        given: dict[str, dict[str, Given]] = {}
        taken = CPUSet()
        for pod, name, text in sorted(found, key=lambda f: (f[0].id, f[1])):
            listed, _, exclusive = text.partition(" ")
            try:
                cpus = CPUSet.parse(listed)
            except ValueError:
                continue
            if cpus and not cpus & taken and may_wish(pod) and exclusive in ("", *EXCLUSIVES):
                taken |= cpus
                wish = cast("Exclusive", exclusive)
                given.setdefault(pod.id, {})[name] = Given(cpus, wish, pod.qos is QoSClass.LSE)
        with self._lock:
            self._given, self._dra = given, {}

    def applied(self, node: NodeState, pods: Iterable[Pod]) -> NodeState:
        """The node with what is given, and with share pools of what is left where Koordinator publishes none. What such a node had
        before is forgotten. Whose CPU goes offline keeps the others: they are his, and would else be idle.
        """
        topology = node.topology
        if topology is None:
            return node
        if node.own_cpus or node.dra_cpus:
            node = replace(node, own_cpus={}, dra_cpus={})
        if node.pools_are_local:
            node = replace(node, ls_pools=(), be_pools=(), pools_are_local=False)
        own = {
            pod_id: {name: str(left) for name, g in of_pod.items() if (left := g.cpus & topology.online)}
            for pod_id, of_pod in self._given.items()
        }
        dra = {pod_id: {n: str(c) for n, c in of_pod.items()} for pod_id, of_pod in self._dra.items()}
        if node.ls_pools or node.be_pools:  # published by Koordinator, which knows of its own assignments
            return replace(node, own_cpus=own, dra_cpus=dra) if own or dra else node
        pools = share_pools(topology, self._taken(node, pods))
        if not own and not dra and pools == Pools():
            return node
        return replace(
            node,
            own_cpus=own,
            dra_cpus=dra,
            ls_pools=pools.ls,
            be_pools=pools.be,
            pools_are_local=True,
            problems=(*node.problems, *(p for p in pools.problems if p not in node.problems)),
        )

    def _taken(self, node: NodeState, pods: Iterable[Pod]) -> Taken:
        lse, own, dra = CPUSet(), CPUSet(), CPUSet()
        for claimed in self._dra.values():
            for cpus in claimed.values():
                dra |= cpus
        for of_pod in self._given.values():
            for given in of_pod.values():
                own |= given.cpus
                if given.lse:
                    lse |= given.cpus
        for pod in pods:
            if RESOURCE_STATUS.key not in pod.annotations:
                continue
            try:
                status = RESOURCE_STATUS.of(pod)
                cpus = CPUSet() if status is None else CPUSet.parse(status.cpuset)
            except (AnnotationError, ValueError):
                continue  # the cpuset hook tells
            own |= cpus
            if pod.qos is QoSClass.LSE:
                lse |= cpus
        system = CPUSet.parse(node.system_cpus) if node.system_exclusive else CPUSet()
        return Taken(lse, own, node.reserved_cpus | node.kubelet_reserved | node.kubelet_cpus | system | dra)

    def _forget(self, pod_id: str, name: str) -> None:
        if name in self._given.get(pod_id, {}):
            left = {n: g for n, g in self._given[pod_id].items() if n != name}
            self._given = {**self._given, pod_id: left}


def _kind(wish: Wish) -> str:
    return f" ({wish.bind})" if wish.bind else ""
