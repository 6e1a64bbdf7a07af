"""The resctrl group of a container: rdt.closid.

A pod with the annotation `node.koordinator.sh/resctrl` has its own group, `koordlet-<uid>`. If the CPU has no class of service left, its
containers join their class's group, and the reason says so. The same happens when the annotation cannot be parsed: otherwise an
unreadable text would free the pod from its class's limits. A group made from an earlier text stays. Other pods go into the group of their
class (label, else Kubernetes' class mapped to LSR, LS, BE) if that class's resctrlQOS is enabled. LSE uses LSR's group; SYSTEM is not
moved.

An existing group is sent with the container's creation. A group that the reconciler has yet to make is not: the runtime would fail the
container. The daemon then moves the container's init process into it at the start; running containers follow by moving their threads.
Source: koordinator.md 6. koordnri.resctrl.choice chooses, so that the reconciler makes the same groups.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext, Hook, HostContext
from koordnri.model import AnnotationError, Pod, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.fields import RDT_CLOSID
from koordnri.resctrl.choice import HOOK, choose, choose_class, choose_of, has_own_group
from koordnri_hooks.injection.rdt import by_annotation


class RDT(Hook):
    """The resctrl group; the module describes it."""

    name = HOOK
    order = 40
    owns = (fields.RDT_CLOSID,)

    def decide(self, ctx: ContainerContext) -> None:
        pod, resctrl = ctx.pod, ctx.node.resctrl
        if ctx.policy.injections and (key := by_annotation(ctx)):
            ctx.skip(RDT_CLOSID, f"left to the runtime by annotation {key}")
            return
        try:
            group, reason = choose(pod, ctx.policy, resctrl)
        except AnnotationError as error:
            if has_own_group(pod, resctrl):
                raise
            ctx.error(error)
            group, reason = choose_class(pod, ctx.policy, resctrl, f"{RESCTRL_KEY} cannot be used; ")
        if pod.verdicts:
            reason = _with_trust(pod, reason)
        if group:
            ctx.set(RDT_CLOSID, group, reason)
        else:
            ctx.skip(RDT_CLOSID, reason)

    def decide_host(self, ctx: HostContext) -> None:
        group, reason = choose_of(ctx.qos, ctx.policy, ctx.node.resctrl)
        if group:
            ctx.set(RDT_CLOSID, group, reason)
        else:
            ctx.skip(RDT_CLOSID, reason)


def _with_trust(pod: Pod, reason: str) -> str:
    """The reason, and what the trust rules say of the inputs that the group follows from."""
    verdicts = filter(None, (pod.verdict("resctrl"), pod.verdict("systemClass")))
    return "; ".join((reason, *map(str, verdicts)))
