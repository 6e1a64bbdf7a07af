"""Reports resizes in place that have no effect: the container's CPUs come from a scheduler or a DRA driver, which do not follow."""

from __future__ import annotations

from koordnri.daemon.events import Events
from koordnri.model import Container, CPUSet, Pod
from koordnri.model.assigned import assigned_on
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.resources import Resources
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present

IGNORED = "ResizeIgnored"
"""reason of the Event"""


class ResizeNotices:
    """For the event path: a few lookups for a container whose CPUs nobody else gave."""

    def __init__(self, ledger: Ledger, present: Present, events: Events) -> None:
        self._ledger = ledger
        self._present = present
        self._events = events

    def resized(self, pod: Pod, container: Container) -> None:
        """kubelet resizes a container in place, to `container.baseline`; the ledger still has the former one."""
        cpus, by, whole_pod = self._given(pod, container.name)
        entry = self._ledger.container(container.id)
        if not cpus or entry is None:
            return
        had, wants = limit_milli(entry.baseline), limit_milli(container.baseline)
        if had == wants or not had or not wants:
            return
        total = wants + (self._others_milli(pod, container) if whole_pod else 0)
        keeps_quota = self._present.snapshot.policy.cpuset.keep_quota
        if total == len(cpus) * 1000 or (keeps_quota and total < len(cpus) * 1000):
            return
        without = "" if keeps_quota else ", without a CPU limit"
        self._events.warn_pod(
            pod,
            IGNORED,
            f"container {container.name} was resized from {had / 1000:g} to {wants / 1000:g} CPUs, but stays on CPUs {cpus}, which {by} "
            f"gave{without}: create the pod again to get others",
        )

    def _given(self, pod: Pod, name: str) -> tuple[CPUSet, str, bool]:
        """(CPUs that koordnri did not choose, who gave them, whether they are the whole pod's)."""
        node = self._present.snapshot.node
        if cpus := assigned_on(pod, node):
            return cpus, "the scheduler", True
        return node.dra_cpus.get(pod.key, {}).get(name, NO_CPUS), "a DRA driver", False

    def _others_milli(self, pod: Pod, container: Container) -> int:
        others = self._ledger.containers_of(pod.id)
        return sum(limit_milli(e.baseline) for e in others if e.id != container.id and not e.ended)


def limit_milli(asked: Resources) -> int:
    """The CPU limit in milli-cores; 0: none."""
    return max(asked.cpu_quota or 0, 0) * 1000 // asked.period_us
