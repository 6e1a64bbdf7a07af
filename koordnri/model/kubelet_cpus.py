"""Containers that kubelet's static CPU manager pinned, learned from their own resources.

Under `static` kubelet sends a cpuset for every container, with CreateContainer (before 1.21: in an update right after the start) and
whenever its assignment changes. A container of a Guaranteed pod with a whole number of CPUs gets exactly as many exclusive ones; all others
get the default set, the CPUs that are exclusive to nobody. Sources: Kubernetes' "Control CPU Management Policies on the Node", KEP-3570.
Since 1.33 kubelet may leave such containers without a quota.
"""

from __future__ import annotations

from koordnri.model.convert import CFS_PERIOD_US, milli_to_shares
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod
from koordnri.model.qos import KubeQoS
from koordnri.model.resources import Resources


def pinned_by_kubelet(pod: Pod, baseline: Resources, node: NodeState) -> CPUSet:
    """The CPUs that kubelet pinned a container of `pod` to; empty when it shares, or kubelet pins nobody.

    A cpuset of the whole node pins nothing: kubelet's policy always keeps some CPUs back.
    """
    shares, period = baseline.cpu_shares, baseline.cpu_period or CFS_PERIOD_US
    if node.kubelet_cpu_policy != "static" or not baseline.cpus or pod.kube_qos is not KubeQoS.GUARANTEED or not shares:
        return NO_CPUS
    cpus = cpus_in(baseline.cpus)
    count, quota = len(cpus), baseline.cpu_quota or 0
    if not count or shares != milli_to_shares(count * 1000) or (quota > 0 and quota != count * period):
        return NO_CPUS
    return NO_CPUS if node.topology is not None and node.topology.online <= cpus else cpus


def cpus_in(text: str) -> CPUSet:
    """The cpuset in a request; empty when the text is no list of CPUs."""
    try:
        return CPUSet.parse(text)
    except ValueError:
        return NO_CPUS
