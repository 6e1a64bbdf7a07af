"""The CPUs that the scheduler assigned to a pod: annotation `scheduling.koordinator.sh/resource-status`, key `cpuset`."""

from __future__ import annotations

from koordnri.hook import ContainerContext
from koordnri.model import AnnotationError, CPUSet, NodeState, Pod
from koordnri.model import assigned as model
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.fields import CPU_CPUS
from koordnri.model.verdict import Verdict

RULE = "resourceStatus"
"""The trust rule about it (koordnri.policy.trust)."""
MOST_VERBATIM = 1000
"""Characters. The kernel refuses some 100 and 6 per CPU that it could have, and with it the container; `0,0,0…` is as long as one likes."""


def set_assigned(ctx: ContainerContext) -> bool:
    """Decide cpu.cpus by what the scheduler assigned; False when it assigned none. Which of them are left out, as they are offline,
    the reason and an error say. Raises AnnotationError as `assigned_cpus` does.
    """
    cpus = assigned_cpus(ctx.pod, ctx.node)
    if not cpus:
        return False
    offline = _offline(model.assigned_cpus(ctx.pod), ctx.node)
    by = "assigned by the scheduler"
    if (verdict := verdict_on(ctx.pod, ctx.node)) is not None:
        by = f"assigned by the scheduler; {verdict.why}"
    if not offline:
        ctx.set(CPU_CPUS, cpus, by)
        return True
    left_out = str(offline)[:60]
    ctx.set(CPU_CPUS, cpus, f"{by}, without {left_out}: the node does not have them online")
    problem = (
        f"cpuset: names CPUs {left_out}, which the node does not have online; they are left out, and {cpus[:60]} used"
    )
    ctx.error(AnnotationError(RESOURCE_STATUS.key, problem))
    return True


def assigned_cpus(pod: Pod, node: NodeState) -> str:
    """The assigned CPUs as a cpuset: the annotation's text, stripped and checked; a long text in its shortest form. "" when there are
    none.

    The runtime refuses a container whose cpuset names an offline CPU, so those are left out. The container gets the online ones:
    without a cpuset it would run on other containers' exclusive CPUs. Raises AnnotationError when the text is no list of CPUs, or
    none of them is online.
    """
    status = RESOURCE_STATUS.of(pod)
    if status is None or ((disputed := node.disputed_cpus.get(pod.key)) is not None and not disputed.counts):
        return ""
    text = status.cpuset.strip()
    if not text:
        return ""
    cpus = model.assigned_cpus(pod)
    offline = _offline(cpus, node)
    if not offline:
        return text if len(text) <= MOST_VERBATIM else str(cpus)
    if left := cpus - offline:
        return str(left)
    raise AnnotationError(
        RESOURCE_STATUS.key,
        f"cpuset: {text[:60]} names no CPU that the node has online; expected CPUs of {node.topology and node.topology.online}",
    )


def verdict_on(pod: Pod, node: NodeState) -> Verdict | None:
    """What the trust rules say of the assignment; None when there is none, or they are off."""
    return node.disputed_cpus.get(pod.key) or pod.verdict(RULE)


def _offline(cpus: CPUSet, node: NodeState) -> CPUSet:
    """Those that the node does not have online; none where that is not known."""
    return CPUSet() if node.topology is None else cpus - node.topology.online
