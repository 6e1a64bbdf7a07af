"""What the feedback controllers want now. Part of the node state; hooks turn it into decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from koordnri.model.pod import Pod
from koordnri.model.qos import KubeQoS, QoSClass


class Wanted(NamedTuple):
    """One value that a controller wants."""

    value: Any
    reason: str
    """why, for `explain`; without figures that change at every tick, or each tick would be a new decision"""


@dataclass(frozen=True, slots=True)
class Control:
    """Empty: no controller wants anything, and what one wanted before is given back.

    These values move every few seconds. So they are written and never recorded in the runtime's stored specs.
    """

    be_cpus: Wanted | None = None
    """CPUSet: all CPUs that best-effort work may use (CPU suppress by cpuset)"""
    be_quota_us: Wanted | None = None
    """µs per 100 ms period for the cgroup of Kubernetes' BestEffort pods (CPU suppress by cfsQuota)"""
    quotas_us: Mapping[str, Wanted] = field(default_factory=dict)
    """id of a container → µs per 100 ms period, above the quota that it would have otherwise (quota burst)"""
    memory_high_bytes: Mapping[str, Wanted] = field(default_factory=dict)
    """id of a container → bytes, a ceiling of memory.high while memory is short (memory staircase)"""

    def of_pod(self, pod: Pod, container_ids: Iterable[str], cgroup_version: int) -> tuple[object, ...]:
        """The values that decisions about one pod and these containers of it may read; () for none. Reasons do not count.

        A hook that reads more of Control must find it here: plans are kept while this stays the same.
        """
        if self is NO_CONTROL:
            return ()
        found: list[object] = []
        if self.quotas_us or self.memory_high_bytes:
            of_containers = {"quotas_us": self.quotas_us, "memory_high_bytes": self.memory_high_bytes}
            for i in container_ids:
                found += [(i, name, values[i].value) for name, values in of_containers.items() if i in values]
        if pod.qos is QoSClass.BE or pod.kube_qos is KubeQoS.BESTEFFORT:
            if self.be_quota_us is not None:
                found.append("be_quota_us")  # whether there is one; its value is the class's
            # On v2 the class's cgroup has the CPUs for all pods below it.
            if self.be_cpus is not None and (cgroup_version == 1 or pod.kube_qos is not KubeQoS.BESTEFFORT):
                found.append(self.be_cpus.value)
        return tuple(found)


NO_CONTROL = Control()
