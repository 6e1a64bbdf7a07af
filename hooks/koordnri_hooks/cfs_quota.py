"""CPU time: cpu.quota, cpu.period, cpu.shares, cpu.burst, cpu.bvt_warp_ns, cpu.idle.

Owns the CFS bandwidth of a container and of its pod. Several features decide it, as steps in this order, so that no two of them compete
for one file (Koordinator issue 2306):
    requested by kubelet → batch-cpu (BE) → normalisation → unset for pinned pods → lifted (lifted_quota.py) → burst (cpu_burst.py)
    → quota burst (quota_burst.py), or lifted below the class (suppressed.py)

Each step starts from the baseline or from the step before, never from the runtime's stored spec. That contains our own adjustment, and
koordlet scales it once more at every update. group_identity.py decides the priority between pods and classes.

Where koordlet's behaviour differs from its intent, we follow the intent. A normalised quota stays above 1000 µs, the kernel's minimum. An
empty table of batch resources leaves the pod unchanged. BE quotas are lifted while CPU suppress bounds their class by a quota
(suppressed.py), not whenever `cpuSuppressPolicy` is cfsQuota: else BE could have no limit at all. batch-cpu uses kubelet's CFS period even
if that is not 100 ms. A pod's quota is the sum of its containers' rounded quotas, counting those that run at the same time
(model/phases.py), plus its RuntimeClass overhead, which koordlet omits.
Source: koordinator.md 5.1, 5.2, 5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from koordnri.hook import ClassContext, ContainerContext, Hook, HostContext, PodContext, RootContext
from koordnri.model import UNLIMITED, AnnotationError, QoSClass, fields
from koordnri.model.annotations import BATCH_CPU, RESOURCE_STATUS
from koordnri.model.convert import CFS_PERIOD_US, MIN_QUOTA_US, milli_to_quota_us, milli_to_shares
from koordnri.model.errors import PodError
from koordnri.model.fields import CPU_PERIOD, CPU_QUOTA, CPU_SHARES
from koordnri.model.phases import most_together
from koordnri_hooks.assigned import assigned_cpus
from koordnri_hooks.batch import batch_of, batches_of, leave, overhead_of
from koordnri_hooks.cpu_burst import set_burst, set_pod_burst
from koordnri_hooks.group_identity import (
    NO_WEIGHT,
    set_class_scheduling,
    set_host_scheduling,
    set_pod_identity,
    set_pod_idle,
)
from koordnri_hooks.lifted_quota import lift_quota
from koordnri_hooks.quota_burst import raise_pod_quota, raise_quota
from koordnri_hooks.suppressed import bound_class, lift_below_class
from koordnri_hooks.system_config import set_scheduler_sysctls

_Context = ContainerContext | PodContext

PINNED = "pinned to exclusive CPUs"
NO_BATCH = "BE, but no batch resources are known of it"
_OF_BATCH = (CPU_SHARES, CPU_QUOTA, CPU_PERIOD)
V1_POD = "on cgroup v1 the pod keeps kubelet's quota, and its containers are normalised each"


class CFSQuota(Hook):
    """CPU time; the module describes it."""

    name = "cfs_quota"
    order = 20
    owns = (
        fields.CPU_QUOTA,
        fields.CPU_PERIOD,
        fields.CPU_SHARES,
        fields.CPU_BURST,
        fields.CPU_BVT,
        fields.CPU_IDLE,
        fields.SCHED_GROUP_IDENTITY,
        fields.SCHED_IDLE_SAVER,
        fields.SCHED_FEATURE,
    )

    def decide(self, ctx: ContainerContext) -> None:
        qos = ctx.pod.qos
        pinned = ctx.cpus_pinned
        if qos is QoSClass.BE:
            _set_containers_batch(ctx)
        elif not pinned:
            _set_normalised(ctx, qos)
        if pinned and not ctx.policy.cpuset.keep_quota:
            # Throttling a container on CPUs that nobody else uses helps nobody (Koordinator 489).
            ctx.set(CPU_QUOTA, UNLIMITED, PINNED)
        lift_quota(ctx)
        lift_below_class(ctx)
        set_burst(ctx)
        if ctx.node.control.quotas_us and not pinned:
            raise_quota(ctx)

    def decide_pod(self, ctx: PodContext) -> None:
        """The pod's quota must be large enough for its containers: v1 refuses a child above its parent, v2 throttles silently."""
        set_pod_identity(ctx)
        idle = set_pod_idle(ctx)
        qos = ctx.pod.qos
        pinned = _pod_pinned(ctx)
        if qos is QoSClass.BE:
            _set_pods_batch(ctx, idle)
        elif not pinned:
            _set_normalised_pod(ctx, qos)
        if pinned and not ctx.policy.cpuset.keep_quota:
            ctx.set(CPU_QUOTA, UNLIMITED, PINNED)
        lift_quota(ctx)
        lift_below_class(ctx)
        set_pod_burst(ctx)
        if ctx.node.control.quotas_us and not pinned:
            raise_pod_quota(ctx)

    def decide_class(self, ctx: ClassContext) -> None:
        set_class_scheduling(ctx)
        bound_class(ctx)

    def decide_root(self, ctx: RootContext) -> None:
        """Sysctls of the scheduler."""
        set_scheduler_sysctls(ctx)

    def decide_host(self, ctx: HostContext) -> None:
        set_host_scheduling(ctx)


def _set_containers_batch(ctx: ContainerContext) -> None:
    try:
        batch = batch_of(ctx.pod, ctx.container.name, BATCH_CPU)
    except PodError as error:
        leave(ctx, error, *_OF_BATCH)
        return
    if batch is None:
        ctx.skip(CPU_QUOTA, NO_BATCH)
    else:
        _set_batch(ctx, batch.request or 0, {ctx.container.name: batch.limit or 0})


def _set_pods_batch(ctx: PodContext, idle: bool) -> None:
    try:
        batches = batches_of(ctx.pod, BATCH_CPU)
        overhead_milli = overhead_of(ctx.pod, BATCH_CPU)
    except PodError as error:
        leave(ctx, error, *_OF_BATCH)
        return
    if not batches:
        ctx.skip(CPU_QUOTA, NO_BATCH)
        return
    request_milli = None
    if not idle:
        request_milli = most_together(ctx.pod, {name: b.request or 0 for name, b in batches.items()}) + overhead_milli
    _set_batch(ctx, request_milli, {name: b.limit or 0 for name, b in batches.items()}, overhead_milli)


def _set_batch(
    ctx: _Context, request_milli: int | None, limits_milli: Mapping[str, int], overhead_milli: int = 0
) -> None:
    """Shares from the request (None: idle, no shares); quota from the limits by container (0: no limit) and the overhead."""
    if request_milli is None:
        ctx.skip(CPU_SHARES, NO_WEIGHT)
    else:
        ctx.set(CPU_SHARES, milli_to_shares(request_milli), "batch-cpu request")
    if min(limits_milli.values()) <= 0:
        ctx.set(CPU_QUOTA, UNLIMITED, "no batch-cpu limit")
        return
    period_us = ctx.baseline.cpu_period or CFS_PERIOD_US
    quotas_us = {name: milli_to_quota_us(milli, period_us) for name, milli in limits_milli.items()}
    ratio = ctx.node.normalization_ratio
    reason = "batch-cpu limit"
    overhead_us = milli_to_quota_us(overhead_milli, period_us) if overhead_milli else 0
    if overhead_us:
        reason = "batch-cpu limit and RuntimeClass overhead"
    if ratio is not None and _speeds_up(ratio):
        quotas_us = {name: _normalised(quota_us, ratio) for name, quota_us in quotas_us.items()}
        overhead_us = _normalised(overhead_us, ratio) if overhead_us else 0
        reason += ", normalised by the node's CPU ratio"
    ctx.set(CPU_QUOTA, most_together(ctx.pod, quotas_us) + overhead_us, reason)
    if period_us != CFS_PERIOD_US and ctx.__class__ is PodContext:
        # kubelet reports the period for the pod. It sets it on containers only if it sees no limit, as here.
        ctx.set(CPU_PERIOD, period_us, "kubelet's CFS period, as its containers have it")


def _set_normalised_pod(ctx: PodContext, qos: QoSClass) -> None:
    """On v2 the pod is normalised like its containers. v1 refuses a container above its pod: a container that is created while koordnri is
    away, with kubelet's full quota, would not start. So on v1 the pod keeps kubelet's quota, and only its containers are normalised.
    """
    if ctx.node.cgroup_version == 2:
        _set_normalised(ctx, qos)
    elif ctx.node.normalization_ratio is not None:
        ctx.skip(CPU_QUOTA, V1_POD)


def _set_normalised(ctx: _Context, qos: QoSClass) -> None:
    ratio = ctx.node.normalization_ratio
    if ratio is None or not (qos is QoSClass.LS or qos is QoSClass.NONE):
        return
    quota_us = ctx.baseline.cpu_quota
    if quota_us is not None and quota_us > 0 and _speeds_up(ratio):
        ctx.set(CPU_QUOTA, _normalised(quota_us, ratio), "normalised by the node's CPU ratio")


def _normalised(quota_us: int, ratio: Fraction) -> int:
    """A faster CPU does the same work in less time. Rounded up, so that rounding never takes time away."""
    return max(-(-quota_us * ratio.denominator // ratio.numerator), MIN_QUOTA_US)


def _speeds_up(ratio: Fraction) -> bool:
    """Whether the ratio is above 1; other ratios change nothing. Comparing Fractions directly costs ten times as much."""
    return ratio.numerator > ratio.denominator


def _pod_pinned(ctx: PodContext) -> bool:
    """Whether the cpuset hook pins this pod's containers. It decides nothing for the pod's own cgroup, so this computes it again."""
    if ctx.policy.hook_mode("cpuset") != "enforce":
        return False
    if ctx.node.exclusive_cpus.get(ctx.pod.key):
        return True
    if RESOURCE_STATUS.key not in ctx.pod.annotations:
        return False
    try:
        return assigned_cpus(ctx.pod, ctx.node) != ""
    except AnnotationError:  # reported by the cpuset hook; the containers are then not pinned
        return False
