"""Who has exclusive CPUs, whoever gave them, and on which CPUs each container runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from koordnri.answers.cpu_holders import KOORDNRI, CPUHolder, Pins, find_holders
from koordnri.cpus.choice import Wish
from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.wish import wanted_by
from koordnri.model import CPUSet, KubeQoS, NodeState, Pod, QoSClass
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.fields import CPU_CPUS
from koordnri.state.entry import Entry


class CPUOwner(NamedTuple):
    """A container with exclusive CPUs."""

    pod: str
    """NAMESPACE/NAME"""
    container: str
    """"": the CPUs are the whole pod's"""
    cpus: CPUSet
    by: str = KOORDNRI
    wish: Wish = Wish(0)
    """what it wants of its neighbours"""
    runs: bool = True
    """False until it was started, since the others may still be leaving its CPUs; and when its pod is released"""
    lse: bool = False
    """whether batch containers must leave its CPUs, too"""

    @property
    def title(self) -> str:
        """The name in messages."""
        return f"{self.pod} {self.container}".strip()


class CPUUser(NamedTuple):
    """A started container, and the CPUs that koordnri gave to it, alone or shared."""

    pod: str
    container: str
    cpus: CPUSet
    batch: bool = False
    """whether it may run on idle CPUs of LSR containers"""


def cpu_owners(
    pods: Iterable[Pod], entries: Iterable[Entry], node: NodeState, held: Holdings, pins: Pins
) -> list[CPUOwner]:
    """All owners whose pod is known. `held`: holdings of the allocator; `pins`: CPUs that kubelet pinned containers to."""
    by_key = {pod.key: pod for pod in pods}
    alive: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        if not entry.ended:
            alive.setdefault(entry.pod_id, {})[entry.name] = entry
    return [
        _owner(pod, owner, alive.get(pod.id, {}), held.get(owner.key, {}).get(owner.container), node.has_released(pod))
        for owner in find_holders(node, by_key.values(), held, pins)
        if owner.cpus and (pod := by_key.get(owner.key)) is not None
    ]


def _owner(
    pod: Pod, owner: CPUHolder, its: Mapping[str, Entry], holding: Holding | None, is_released: bool
) -> CPUOwner:
    entry, cpus = its.get(owner.container), owner.cpus
    runs = entry is not None and entry.started if owner.container else any(e.started for e in its.values())
    exclusive = holding.exclusive if holding is not None and owner.by == KOORDNRI else ""
    wishes = () if entry is None or owner.by != KOORDNRI else wanted_by(pod, owner.container, entry.baseline).wishes
    met = next((wish for wish in wishes if wish.exclusive == exclusive), Wish(0))
    wish = Wish(len(cpus), met.bind, exclusive)
    runs = runs and not is_released  # nothing is kept off its CPUs any more
    return CPUOwner(_title(pod), owner.container, cpus, owner.by, wish, runs, pod.qos is QoSClass.LSE)


def cpu_users(pods: Iterable[Pod], entries: Iterable[Entry]) -> Iterator[CPUUser]:
    """All started containers whose CPUs koordnri decided. Others run where their parent cgroup lets them."""
    by_id: Mapping[str, Pod] = {pod.id: pod for pod in pods}
    for entry in entries:
        pod = by_id.get(entry.pod_id)
        if pod is not None and entry.started and not entry.ended and (cpus := _present_cpus(entry)):
            yield CPUUser(_title(pod), entry.name, cpus, pod.kube_qos is KubeQoS.BESTEFFORT)


def _present_cpus(entry: Entry) -> CPUSet:
    """As last read from its file, else as last sent to the runtime."""
    text = entry.files.get(CPU_CPUS.name) or entry.sent.get(CPU_CPUS.name, ("", ""))[0]
    try:
        return CPUSet.parse(text)
    except (ValueError, TypeError):  # not a list of CPUs: a hook of a third party may own the field
        return NO_CPUS


def _title(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"
