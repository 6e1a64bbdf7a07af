"""oom_score_adj of a container's processes: whom the kernel kills when memory runs out.

The first that applies:
    1. the container's entry in the pod's annotation `koordinator.sh/oom-score-adj-spec`
    2. the annotation `koordinator.sh/oom-score-adj`, for all containers of the pod
    3. the policy's `hooks.memory.oomScoreAdj`, by class (label, else Kubernetes' class mapped to LSR, LS, BE)

The annotations count where the trust rule `oomScore` believes them. One that cannot be parsed is reported, and the next one applies. The
sandbox keeps the runtime's value. Unlike koordlet, which only writes to processes that run, the container is created with the value, and
gets back what kubelet asked for when nothing asks for another one any more. Source: koordinator.md 9.
"""

from __future__ import annotations

from typing import TypeVar

from koordnri.hook import ContainerContext
from koordnri.model import AnnotationError, QoSClass
from koordnri.model.annotations import OOM_SCORE_ADJ as OF_POD
from koordnri.model.annotations import OOM_SCORE_ADJ_SPEC as OF_CONTAINERS
from koordnri.model.annotations import Annotation
from koordnri.model.fields import OOM_SCORE_ADJ

T = TypeVar("T")
_NAMES = {
    QoSClass.LSE: "lsr",
    QoSClass.LSR: "lsr",
    QoSClass.LS: "ls",
    QoSClass.BE: "be",
    QoSClass.SYSTEM: "system",
}
"""class → its key in the policy"""


def set_oom_score(ctx: ContainerContext) -> None:
    """Decide oom_score_adj, if the pod or the policy asks for one."""
    pod, by_class = ctx.pod, ctx.policy.memory.oom_score_adj
    annotations = pod.annotations
    if OF_CONTAINERS.key in annotations:
        score = (_read(ctx, OF_CONTAINERS) or {}).get(ctx.container.name)
        if score is not None:
            ctx.set(OOM_SCORE_ADJ, score, f"annotation {OF_CONTAINERS.key}")
            return
    if OF_POD.key in annotations and (score := _read(ctx, OF_POD)) is not None:
        ctx.set(OOM_SCORE_ADJ, score, f"annotation {OF_POD.key}")
        return
    if by_class and (score := by_class.get(name := _NAMES.get(pod.qos_or_default, ""))) is not None:
        ctx.set(OOM_SCORE_ADJ, score, f"oomScoreAdj of class {name}")


def _read(ctx: ContainerContext, annotation: Annotation[T]) -> T | None:
    """The annotation's value; None, and an error in the decision, when it cannot be parsed."""
    try:
        return annotation.of(ctx.pod)
    except AnnotationError as error:
        ctx.error(error)
        return None
