"""Which resctrl group a container starts in: rdt.closid.

A pod with the annotation `node.koordinator.sh/resctrl` has a group of its own, `koordlet-<uid>`, and never its class's. Others go
into the group of their class (label, else Kubernetes' class mapped to LSR, LS, BE) where that class's resctrlQOS is enabled.
LSE shares LSR's group; SYSTEM is not moved.

Only a group that exists is named: the runtime would fail the container over a missing one. Making groups and moving what already
runs is the reconciler's work. Source: koordlet.md 6.
"""

from __future__ import annotations

from koordnri.model import ContainerContext, Hook, QoSClass, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.fields import RDT_CLOSID

_GROUP = {QoSClass.LSE: "LSR", QoSClass.LSR: "LSR", QoSClass.LS: "LS", QoSClass.BE: "BE"}
_DISABLED = {group: f"resource-qos-config.{group.lower()}Class.resctrlQOS is not enabled" for group in _GROUP.values()}


class RDT(Hook):
    """See the module."""

    name = "rdt"
    order = 40
    owns = (fields.RDT_CLOSID,)

    def decide(self, ctx: ContainerContext) -> None:
        pod = ctx.pod
        if RESCTRL_KEY in pod.annotations:
            _join(ctx, f"koordlet-{pod.uid}", "resctrl group of the pod")
            return
        qos = pod.qos_or_default
        group = _GROUP.get(qos)
        if group is None:
            ctx.skip(RDT_CLOSID, "SYSTEM pods stay in the root group")
            return
        policy = ctx.policy.qos.of(qos)
        if policy is not None and policy.resctrl.enable:
            _join(ctx, group, "resctrl group of the class")
        else:
            ctx.skip(RDT_CLOSID, _DISABLED[group])


def _join(ctx: ContainerContext, group: str, reason: str) -> None:
    resctrl = ctx.node.resctrl
    if resctrl is None:
        ctx.skip(RDT_CLOSID, "the node has no resctrl")
    elif group not in resctrl.groups:
        ctx.skip(RDT_CLOSID, f"resctrl group {group} does not exist, and a container that names it would not start")
    else:
        ctx.set(RDT_CLOSID, group, reason)
