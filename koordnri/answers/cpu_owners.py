"""Who has exclusive CPUs, whoever gave them, and on which CPUs each container runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from koordnri.cpus.choice import Wish
from koordnri.cpus.holding import Holding, Holdings
from koordnri.cpus.wish import wanted_by
from koordnri.model import CPUSet, KubeQoS, NodeState, Pod, QoSClass
from koordnri.model.assigned import assigned_or_none
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.fields import CPU_CPUS
from koordnri.model.kubelet_cpus import pinned_by_kubelet
from koordnri.state.ledger import Entry

KOORDNRI, SCHEDULER, KUBELET, DRA = "koordnri", "the scheduler", "kubelet", "a DRA driver"
"""who gives CPUs"""


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
    """False until it was started: the others may still be leaving its CPUs"""
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


def cpu_owners(pods: Iterable[Pod], entries: Iterable[Entry], node: NodeState, held: Holdings) -> list[CPUOwner]:
    """All owners. `held`: what the allocator gave."""
    entries, found = list(entries), []
    started = {(entry.pod_id, entry.name) for entry in entries if entry.started and not entry.ended}
    by_key = {pod.key: pod for pod in pods}
    for key, pod in by_key.items():
        its = [entry for entry in entries if entry.pod_id == pod.id and not entry.ended]
        own = held.get(key, {})
        found += [_held(pod, name, own[name], its, (pod.id, name) in started) for name in own if not own[name].spent]
        for name, cpus in node.dra_cpus.get(key, {}).items():
            found.append(_plain(pod, name, cpus, DRA, (pod.id, name) in started))
        if cpus := assigned_or_none(pod):
            found.append(_plain(pod, "", cpus, SCHEDULER, any(entry.started for entry in its)))
        for entry in its:
            if cpus := pinned_by_kubelet(pod, entry.baseline, node):
                found.append(_plain(pod, entry.name, cpus, KUBELET, entry.started))
    return [owner for owner in found if owner.cpus]


def _held(pod: Pod, name: str, holding: Holding, entries: Iterable[Entry], runs: bool) -> CPUOwner:
    baseline = next((entry.baseline for entry in entries if entry.name == name), None)
    wishes = () if baseline is None else wanted_by(pod, name, baseline).wishes
    met = next((wish for wish in wishes if wish.exclusive == holding.exclusive), Wish(0))
    wish = Wish(len(holding.cpus), met.bind, holding.exclusive)
    return CPUOwner(_title(pod), name, holding.cpus, KOORDNRI, wish, runs, holding.lse)


def _plain(pod: Pod, name: str, cpus: CPUSet, by: str, runs: bool) -> CPUOwner:
    return CPUOwner(_title(pod), name, cpus, by, Wish(len(cpus)), runs, pod.qos is QoSClass.LSE)


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
