"""CPU priority of a pod or QoS class against others: cpu.bvt_warp_ns (group identity) and cpu.idle.

cpu.bvt_warp_ns (Anolis): 2 preempts those with less, -1 yields to all. It is set on the cgroups of pods and of QoS classes, never on
containers. As soon as one class enables its cpuQOS, every pod and class has a value: 0 if its own class is not enabled:

    pod      LSE, LSR: lsrClass; LS: lsClass; BE: beClass; without a label: Guaranteed: lsrClass, or lsClass if only that is
             enabled; Burstable: lsClass; BestEffort: beClass
    class    Guaranteed (the cgroup of all pods): 0; Burstable: lsClass; BestEffort: beClass

An LS pod's annotation `koordinator.sh/cpuQOS` takes precedence over its class, enabled or not. One without a number does not enable the
class; one that cannot be parsed leaves the class's value. On other pods it is ignored. None of this applies while `policies.cpuPolicy` is
coreSched (koordnri.reconcile.core_scheduling).

cpu.idle (mainline >= 5.15) = 1 is set on the cgroups of single BE pods by beClass.schedIdle, under either cpuPolicy (koordlet: on the
class, under coreSched only). Never on a class: the kernel refuses shares of an idle cgroup (EINVAL), and a kubelet that cannot set a
class's shares does not start. Never on a pod outside of BestEffort: kubelet sets its shares when it is resized. The kernel gives all idle
cgroups the same, smallest weight. So batch-cpu makes no difference between them, and an idle pod's shares are not set. A pod that stops
being idle has 1024 shares, and gets back its former value. With the systemd driver, any change of the slice's properties resets cpu.idle
to 0; then it is written again. An application outside of pods is idle by the same setting, with qos BE.

Source: koordinator.md 5.5; kernel/sched/fair.c, sched_group_set_idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.hook import ClassContext, HostContext, PodContext
from koordnri.model import AnnotationError, KubeQoS, Pod, QoSClass
from koordnri.model.annotations import CPU_QOS_KEY
from koordnri.model.fields import CPU_BVT, CPU_IDLE

if TYPE_CHECKING:
    from koordnri.policy import Policy
    from koordnri.policy.qos import CPUQOS, ResourceQOS

CORE_SCHED = "policies.cpuPolicy is coreSched: no group identity beside it"
NO_IDLE = "schedIdle counts for pods of beClass only: kubelet must be able to set the shares of all others"
NO_WEIGHT = "idle (schedIdle of beClass): the kernel takes no shares of an idle cgroup, and idle pods share evenly"
KUBELETS_SHARES = (
    "BE, but not of Kubernetes' class BestEffort: kubelet must be able to set its shares when it is resized"
)


def set_pod_identity(ctx: PodContext) -> None:
    """Decide the pod's cpu.bvt_warp_ns, if group identity is in use."""
    pod, policy = ctx.pod, ctx.policy
    own = pod.qos is QoSClass.LS and CPU_QOS_KEY in pod.annotations
    if not own and not _in_use(policy.qos):
        return
    if policy.qos.policies.cpu_policy != "groupIdentity":
        ctx.skip(CPU_BVT, CORE_SCHED)
    elif not own:
        ctx.set(CPU_BVT, _identity(_class_of(pod, policy.qos)), "groupIdentity of its class")
    else:
        try:
            ctx.set(CPU_BVT, _own_identity(pod, policy), f"annotation {CPU_QOS_KEY}")
        except AnnotationError as error:
            ctx.error(error)
            if _in_use(policy.qos):
                ctx.set(CPU_BVT, _identity(_class_of(pod, policy.qos)), f"of its class: {CPU_QOS_KEY} cannot be read")


def set_pod_idle(ctx: PodContext) -> bool:
    """Decide the pod's cpu.idle. True when it is idle, so that its shares must not be set."""
    pod, qos = ctx.pod, ctx.policy.qos
    of_class = _class_of(pod, qos)
    if not _idle(of_class):
        return False
    if of_class is not qos.be.cpu:
        ctx.skip(CPU_IDLE, NO_IDLE)
    elif pod.kube_qos is not KubeQoS.BESTEFFORT:
        ctx.skip(CPU_IDLE, KUBELETS_SHARES)
    else:
        ctx.set(CPU_IDLE, 1, "schedIdle of beClass")
        return CPU_IDLE.name in ctx.settings
    return False


def set_class_scheduling(ctx: ClassContext) -> None:
    """Decide cpu.bvt_warp_ns of a QoS class's cgroup."""
    qos, which = ctx.policy.qos, ctx.kube_qos
    if _in_use(qos):
        if qos.policies.cpu_policy != "groupIdentity":
            ctx.skip(CPU_BVT, CORE_SCHED)
        elif which is KubeQoS.GUARANTEED:
            ctx.set(CPU_BVT, 0, "all classes are below it")
        else:
            of_class = qos.ls if which is KubeQoS.BURSTABLE else qos.be
            ctx.set(CPU_BVT, _identity(of_class.cpu), "groupIdentity of the class")


def set_host_scheduling(ctx: HostContext) -> None:
    """Decide cpu.bvt_warp_ns and cpu.idle of an application outside of pods, by its class. SYSTEM has neither."""
    qos, of_class = ctx.policy.qos, _of_label(ctx.qos, ctx.policy.qos)
    if of_class is None:
        return
    if _in_use(qos):
        if qos.policies.cpu_policy != "groupIdentity":
            ctx.skip(CPU_BVT, CORE_SCHED)
        else:
            ctx.set(CPU_BVT, _identity(of_class), "groupIdentity of its class")
    if of_class is qos.be.cpu and _idle(of_class):
        ctx.set(CPU_IDLE, 1, "schedIdle of beClass")


def _in_use(qos: ResourceQOS) -> bool:
    return qos.ls.cpu.enable or qos.be.cpu.enable or qos.lsr.cpu.enable


def _identity(cpu: CPUQOS) -> int:
    return cpu.group_identity if cpu.enable else 0


def _idle(cpu: CPUQOS) -> bool:
    return cpu.enable and cpu.sched_idle == 1


def _class_of(pod: Pod, qos: ResourceQOS) -> CPUQOS:
    if (of_class := _of_label(pod.qos, qos)) is not None:
        return of_class
    match pod.kube_qos:
        case KubeQoS.GUARANTEED:
            return qos.lsr.cpu if qos.lsr.cpu.enable else qos.ls.cpu
        case KubeQoS.BURSTABLE:
            return qos.ls.cpu
    return qos.be.cpu


def _of_label(label: QoSClass, qos: ResourceQOS) -> CPUQOS | None:
    match label:
        case QoSClass.LSE | QoSClass.LSR:
            return qos.lsr.cpu
        case QoSClass.LS:
            return qos.ls.cpu
        case QoSClass.BE:
            return qos.be.cpu
    return None


def _own_identity(pod: Pod, policy: Policy) -> int:
    """The annotation's value. Raises AnnotationError."""
    own = policy.cpu_qos(pod)
    if own is None or not own.enable:
        return 0
    return _identity(policy.qos.ls.cpu) if own.group_identity is None else own.group_identity
