"""Who runs without a CFS quota though nobody pinned it to CPUs.

A throttled container waits although its CPUs idle (kubernetes issues 51135 and 67577). Without a quota it may use what is idle, and its
shares still bound it while others want CPU. Two ways, both off by default:

    class   the policy lists the pod's class in `hooks.cfs_quota.liftFor`: Koordinator's by its label; Kubernetes' for pods without one
    pod     the pod has the annotation `koordnri.sh/cpu-quota: none`, and the trust rule `cpuQuota` believes it

What the scheduler and `kubectl` show as the limit stays; the pod's own cgroup is lifted with its containers. Source: none, this is ours.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext, PodContext
from koordnri.model import UNLIMITED, AnnotationError, Pod, QoSClass
from koordnri.model.annotations import CPU_QUOTA_KEY
from koordnri.model.fields import CPU_QUOTA

_NONE = "none"


def lift_quota(ctx: ContainerContext | PodContext) -> None:
    """Set cpu.quota to no limit if the pod is one of these, and has a quota. The last step that sets cpu.quota."""
    pod, classes = ctx.pod, ctx.policy.cfs_quota.lift_for
    if not classes and CPU_QUOTA_KEY not in pod.annotations:
        return
    decided = ctx.value(CPU_QUOTA)
    if ((ctx.baseline.cpu_quota or 0) if decided is None else decided) <= 0:
        return
    if (name := _class_of(pod)) in classes:
        ctx.set(CPU_QUOTA, UNLIMITED, f"the policy lifts the quota of class {name} (liftFor)")
    elif _asks(ctx):
        ctx.set(CPU_QUOTA, UNLIMITED, f"lifted by the annotation {CPU_QUOTA_KEY}")


def _class_of(pod: Pod) -> str:
    return pod.kube_qos if pod.qos is QoSClass.NONE else pod.qos


def _asks(ctx: ContainerContext | PodContext) -> bool:
    text = ctx.pod.annotations.get(CPU_QUOTA_KEY)
    if text is not None and text != _NONE:
        ctx.error(AnnotationError(CPU_QUOTA_KEY, f"expected {_NONE}, got {text[:40]!r}; the quota stays"))
    return text == _NONE
