"""Whether this node gives a pod's containers exclusive CPUs at all."""

from __future__ import annotations

from koordnri.cpus.wish import may_wish
from koordnri.model import NodeState, Pod
from koordnri.policy import Policy
from koordnri.policy.trust import EXCLUSIVE_CPUS_RULE


def why_not_given(pod: Pod, policy: Policy, node: NodeState) -> str:
    """Why this node gives a pod's containers no CPUs, whatever they want; "" when it may."""
    if policy.hook_mode("cpuset") != "enforce":
        return f"the policy has koordnri-config.hooks.cpuset.mode: {policy.hook_mode('cpuset')}"
    if not policy.cpuset.allocate:
        return "the policy has koordnri-config.hooks.cpuset.allocate: false"
    if node.kubelet_cpu_policy == "static":
        return "kubelet's CPU manager is static, and gives CPUs itself"
    if (node.ls_pools or node.be_pools) and not node.pools_are_local:
        return "Koordinator publishes share pools of this node, so koord-scheduler assigns CPUs"
    if policy.publish_topology == "koordinator":
        return "the policy has koordnri-config.publishTopology: koordinator, so koord-scheduler assigns CPUs"
    if node.pools_awaited:
        return "the API server has yet to say whether Koordinator publishes share pools of this node"
    if node.topology is None:
        return "the node's CPU topology is not known"
    if node.cgroup_read_only:
        return "cgroups are mounted read-only, so nobody can be moved off its CPUs"
    if refusal := pod.refusal(EXCLUSIVE_CPUS_RULE):
        return refusal
    if pod.namespace in policy.namespaces_left_alone:
        return f"the policy leaves namespace {pod.namespace} alone"
    return "its pod was released" if node.has_released(pod) else ""


def may_give(pod: Pod, policy: Policy, node: NodeState) -> bool:
    """Whether a pod's containers may get CPUs from this node: not where somebody else assigns them, or the policy forbids it."""
    return may_wish(pod) and not why_not_given(pod, policy, node)
