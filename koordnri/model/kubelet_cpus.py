"""Whom kubelet's static CPU manager gave CPUs alone, as the container's own resources tell it.

Under `static` kubelet sends a cpuset for every container, with CreateContainer (before 1.21 in an update right after the start) and
whenever its assignment changes: to a Guaranteed pod's container with a whole number of CPUs just as many of its own, to all others
the default set, which is what nobody has for himself. Sources: Kubernetes' "Control CPU Management Policies on the Node", KEP-3570;
since 1.33 kubelet may leave such containers without a quota.
"""

from __future__ import annotations

from koordnri.model.convert import CFS_PERIOD_US, milli_to_shares
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod
from koordnri.model.qos import KubeQoS
from koordnri.model.resources import Resources


def pinned_by_kubelet(pod: Pod, baseline: Resources, node: NodeState) -> CPUSet:
    """The CPUs that kubelet gave to a container of `pod` alone; empty when it shares, or kubelet pins nobody.

    The whole node is nobody's own: kubelet's policy always keeps some CPUs back, and a cpuset of all of them pins nothing.
    """
    shares, period = baseline.cpu_shares, baseline.cpu_period or CFS_PERIOD_US
    if node.kubelet_cpu_policy != "static" or not baseline.cpus or pod.kube_qos is not KubeQoS.GUARANTEED or not shares:
        return NO_CPUS
    cpus = cpus_told(baseline.cpus)
    count, quota = len(cpus), baseline.cpu_quota or 0
    if not count or shares != milli_to_shares(count * 1000) or (quota > 0 and quota != count * period):
        return NO_CPUS
    return NO_CPUS if node.topology is not None and node.topology.online <= cpus else cpus


def cpus_told(text: str) -> CPUSet:
    """A cpuset in a request of the runtime; empty when it is no list of CPUs, and then says nothing."""
    try:
        return CPUSet.parse(text)
    except ValueError:
        return NO_CPUS
