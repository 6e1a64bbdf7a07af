"""Which resctrl group a container belongs to: rdt.closid.

A pod with the annotation `node.koordinator.sh/resctrl` has a group of its own, `koordlet-<uid>`; when the CPU has no class of service
left for it, its containers join their class's, and the reason says so. So they do when the annotation cannot be read, or whoever
writes nonsense there would be out of his class's limits; but a group that was made of an earlier text stays. Others go into the
group of their class (label, else Kubernetes' class mapped to LSR, LS, BE) where that class's resctrlQOS is enabled. LSE shares LSR's
group; SYSTEM is not moved.

A group that exists goes with the container's creation. One that the reconciler has yet to make is not named there, for the runtime
would fail the container: the daemon puts the container's init into it at its start, and what runs already follows by its threads.
Source: koordlet.md 6; what is chosen is in koordnri.resctrl.choice, for the reconciler makes the same groups.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext, Hook
from koordnri.model import AnnotationError, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.fields import RDT_CLOSID
from koordnri.resctrl.choice import HOOK, choose, choose_class, has_own_group


class RDT(Hook):
    """See the module."""

    name = HOOK
    order = 40
    owns = (fields.RDT_CLOSID,)

    def decide(self, ctx: ContainerContext) -> None:
        pod, resctrl = ctx.pod, ctx.node.resctrl
        try:
            group, reason = choose(pod, ctx.policy, resctrl)
        except AnnotationError as error:
            if has_own_group(pod, resctrl):
                raise
            ctx.error(error)
            group, reason = choose_class(pod, ctx.policy, resctrl, f"{RESCTRL_KEY} cannot be used; ")
        if group:
            ctx.set(RDT_CLOSID, group, reason)
        else:
            ctx.skip(RDT_CLOSID, reason)
