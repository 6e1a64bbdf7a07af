"""The network class of a pod: net_cls.classid, by which tc (traffic control) distinguishes packets. Cgroup v1 only; v2 has no such file.

    class of the pod (its label)    classid    as tc names it
    SYSTEM                          0x10002    1:2
    LSE, LSR, LS                    0x10003    1:3
    BE                              0x10004    1:4

A pod has its class where `policies.netQOSPolicy` is tc and its class's networkQOS is enabled. Its containers have it, too: the kernel
passes it on only to cgroups that are made later. These are koordlet's ids. The queueing discipline with those classes, ipsets and
iptables rules are not made here: whoever shapes the node's traffic makes them. So a pod with limits of its own
(`koordinator.sh/networkQOS`), for which koordlet makes a tc class, is left alone.

Under the other netQOSPolicy, terway-qos, koordnri.reconcile.terway writes the files that terway reads. Source: koordinator.md 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.hook import ContainerContext, Hook, PodContext
from koordnri.model import QoSClass
from koordnri.model.annotations import NETWORK_QOS_KEY
from koordnri.model.fields import NET_CLASSID

if TYPE_CHECKING:
    from koordnri.policy import Policy

_IDS = {
    QoSClass.SYSTEM: 0x1_0002,
    QoSClass.LSE: 0x1_0003,
    QoSClass.LSR: 0x1_0003,
    QoSClass.LS: 0x1_0003,
    QoSClass.BE: 0x1_0004,
}
OWN_LIMITS = "it has limits of its own, for which somebody must make a tc class: koordnri makes none"


class Network(Hook):
    """The network class; the module describes it."""

    name = "network"
    order = 55
    owns = (NET_CLASSID,)

    def has_work(self, policy: Policy) -> bool:
        qos = policy.qos
        return not _by_tc(policy) or any(one.network.enable for one in (qos.lsr, qos.ls, qos.be, qos.system))

    def decide(self, ctx: ContainerContext) -> None:
        _set_class(ctx)

    def decide_pod(self, ctx: PodContext) -> None:
        _set_class(ctx)


def _by_tc(policy: Policy) -> bool:
    return policy.qos.policies.net_qos_policy == "tc"


def _set_class(ctx: ContainerContext | PodContext) -> None:
    pod, policy = ctx.pod, ctx.policy
    of_class, by_tc = policy.qos.of(pod.qos), _by_tc(policy)
    enabled = of_class is not None and of_class.network.enable
    if by_tc and not enabled:
        return
    limits = policy.network_qos(pod)  # under terway-qos, too: a mistake is reported here
    if not by_tc:
        return
    if limits is not None and limits.any:
        ctx.skip(NET_CLASSID, f"{NETWORK_QOS_KEY}: {OWN_LIMITS}")
    else:
        ctx.set(NET_CLASSID, _IDS[pod.qos], "networkQOS of its class")
