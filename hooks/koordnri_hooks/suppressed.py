"""What CPU suppress (koordnri.control.suppress) wants of best-effort work: its CPUs, or its quota.

    cpuset    v2: the cgroup of Kubernetes' class BestEffort gets the CPUs, and the kernel narrows all below it. Each BE container elsewhere
              gets them by itself. v1: each BE container gets them; the cgroups above stay wide, since v1 refuses a parent that is narrower
              than what is below it.
              Containers with exclusive CPUs keep them.
    cfsQuota  the cgroup of the class BestEffort gets the quota. Own quotas of BE pods below it are lifted meanwhile, as in koordlet: else
              one could be throttled by its limit while the class has CPU to spare, and v1 refuses a class below its pods.

On v1 the lifted quota also goes to the runtime, which could create no container with a quota above that of the class.
"""

from __future__ import annotations

from koordnri.hook import ClassContext, ContainerContext, PodContext
from koordnri.model import UNLIMITED, CPUSet, KubeQoS, Pod, QoSClass
from koordnri.model.fields import CPU_CPUS, CPU_QUOTA

LIFTED = "CPU suppress: the quota of the class BestEffort bounds it instead"


def narrow_cpus(ctx: ContainerContext) -> None:
    """Keep a best-effort container on the CPUs that suppress wants, if no cgroup above does that."""
    wanted = ctx.node.control.be_cpus
    if wanted is None or not _is_best_effort(ctx.pod) or ctx.cpus_pinned:
        return
    if ctx.node.cgroup_version == 2 and ctx.pod.kube_qos is KubeQoS.BESTEFFORT:
        return
    has = ctx.value(CPU_CPUS)
    cpus = wanted.value if has is None else CPUSet.parse(has) & wanted.value or wanted.value
    ctx.control(CPU_CPUS, str(cpus), wanted.reason)


def narrow_class(ctx: ClassContext) -> None:
    """Keep the class BestEffort on the CPUs that suppress wants."""
    wanted = ctx.node.control.be_cpus
    if wanted is not None and ctx.kube_qos is KubeQoS.BESTEFFORT and ctx.node.cgroup_version == 2:
        ctx.control(CPU_CPUS, str(wanted.value), wanted.reason)


def bound_class(ctx: ClassContext) -> None:
    """Give the class BestEffort the quota that suppress wants."""
    wanted = ctx.node.control.be_quota_us
    if wanted is not None and ctx.kube_qos is KubeQoS.BESTEFFORT:
        ctx.control(CPU_QUOTA, wanted.value, wanted.reason)


def lift_below_class(ctx: ContainerContext | PodContext) -> None:
    """Lift a best-effort pod's own quota while the class has one."""
    pod = ctx.pod
    if ctx.node.control.be_quota_us is None or pod.qos is not QoSClass.BE or pod.kube_qos is not KubeQoS.BESTEFFORT:
        return
    quota_us = ctx.value(CPU_QUOTA)
    if (ctx.baseline.cpu_quota if quota_us is None else quota_us) in (None, 0, UNLIMITED):
        return
    if ctx.node.cgroup_version == 1:
        ctx.set(CPU_QUOTA, UNLIMITED, LIFTED)
    else:
        ctx.control(CPU_QUOTA, UNLIMITED, LIFTED)


def _is_best_effort(pod: Pod) -> bool:
    return pod.qos is QoSClass.BE or pod.kube_qos is KubeQoS.BESTEFFORT
