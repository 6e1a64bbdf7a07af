"""The kernel's CPU burst: quota that a container did not use, it may use later, up to cpu.burst µs.

    container   limit × cpuBurstPercent / 100
    pod         the sum of its containers', so that its own quota does not throttle their bursts; if the pod has its own limit
                (spec.resources), which kubelet gives to containers without one, that limit × cpuBurstPercent / 100

Decided by `cpu-burst-config`, with the pod's annotation `koordinator.sh/cpuBurst` over it field by field (an unreadable one changes
nothing), for pods of LS, SYSTEM and without a class. The policies auto and cpuBurstOnly enable it, cfsQuotaBurstOnly does not. Nothing is
set where there is no limit, or where the quota was lifted.

Mainline kernels refuse a burst above the quota, and a quota below the burst. So the burst is clamped to the quota: Koordinator's default of
1000 % gives one full quota. Neither kubelet nor the runtime knows of the burst when they shrink a limit in place. So the burst shrinks
first, as soon as the pod's spec has the smaller limit. Without the spec, kubelet's first attempt at a container fails and the next one
succeeds; the pod follows its containers. Kernels with group identity (Anolis) accept more than the quota on v1, as Koordinator intends.

Raising the quota of throttled containers (cfsQuotaBurst) is quota_burst.py's. Source: koordinator.md 5.4.
"""

from __future__ import annotations

import contextlib

from koordnri.hook import ContainerContext, PodContext
from koordnri.model import AnnotationError, NodeState, Pod, QoSClass, fields, quantity_milli
from koordnri.model.annotations import CPU_BURST_KEY
from koordnri.model.convert import CFS_PERIOD_US, milli_to_quota_us
from koordnri.model.fields import CPU_BURST, CPU_QUOTA
from koordnri.model.pod import PodSpec

MOST_BANDWIDTH_US = 2**44 - 1
"""Largest sum of quota and burst: the kernel counts in fixed point."""
NO_LIMIT = "no CPU limit to burst over"
NO_QUOTA = "no quota to burst over: it was unset"
NO_CONTAINERS = "cpu.burst of a pod is the sum of its containers', and no limits of such are known yet"
_PARSED = "CPU limits of the spec"
_WHOLE = ""
"""Key of the pod's own resources beside its containers' names; no container has this name."""
_NEVER = (QoSClass.LSR, QoSClass.LSE, QoSClass.BE)


def set_burst(ctx: ContainerContext) -> None:
    """Decide the container's cpu.burst. cpu.quota is already decided."""
    percent = _percent(ctx)
    if not percent or not (bandwidth := _bandwidth(ctx)):
        return
    limit_us, quota_us = bandwidth
    ahead_milli = 0
    if ctx.pod.spec is not None:
        limits_milli = _limits_milli(ctx.pod, ctx.pod.spec)
        # kubelet gives a container without a limit the pod's limit.
        ahead_milli = limits_milli.get(ctx.container.name, 0) or limits_milli[_WHOLE]
    ahead_us = milli_to_quota_us(ahead_milli, ctx.baseline.cpu_period or CFS_PERIOD_US)
    if 0 < ahead_us < limit_us:
        # kubelet is about to shrink the limit in place; the kernel refuses its smaller quota while the burst is larger.
        limit_us, quota_us = ahead_us, quota_us * ahead_us // limit_us
    _set(ctx, limit_us * percent // 100, quota_us)


def set_pod_burst(ctx: PodContext) -> None:
    """The same for the pod's own cgroup."""
    percent = _percent(ctx)
    if not percent or not (bandwidth := _bandwidth(ctx)):
        return
    limit_us, quota_us = bandwidth
    limits_us = _all_limits_us(ctx)
    if not limits_us:
        ctx.skip(CPU_BURST, NO_CONTAINERS)
        return
    if sum(limits_us) < limit_us:
        quota_us = quota_us * sum(limits_us) // limit_us  # about to be shrunk in place, as above
    _set(ctx, sum(one * percent // 100 for one in limits_us), quota_us)


def _bandwidth(ctx: ContainerContext | PodContext) -> tuple[int, int] | None:
    """The limit and the decided quota (µs); None when there is nothing to burst over, with the reason in the decision."""
    limit_us = ctx.baseline.cpu_quota or 0
    if limit_us <= 0:
        ctx.skip(CPU_BURST, NO_LIMIT)
        return None
    decided = ctx.value(CPU_QUOTA)
    quota_us: int = limit_us if decided is None else decided
    if quota_us <= 0:
        ctx.skip(CPU_BURST, NO_QUOTA)
        return None
    return limit_us, quota_us


def _all_limits_us(ctx: PodContext) -> list[int]:
    """Limits as quotas (µs) of the pod's containers that run together, or the pod's limit; from the spec, else from the runtime.

    The spec comes first because kubelet uses it when it shrinks the pod's own quota, which the burst must not prevent.
    """
    spec = ctx.pod.spec
    if spec is None:
        return [quota for one in ctx.containers if (quota := one.baseline.cpu_quota or 0) > 0]
    period_us = ctx.baseline.cpu_period or CFS_PERIOD_US
    limits_milli = _limits_milli(ctx.pod, spec)
    if limits_milli[_WHOLE]:
        return [milli_to_quota_us(limits_milli[_WHOLE], period_us)]
    return [
        milli_to_quota_us(milli, period_us)
        for name, milli in limits_milli.items()
        if milli > 0 and name != _WHOLE and not spec.containers[name].init
    ]


def _set(ctx: ContainerContext | PodContext, wanted_us: int, quota_us: int) -> None:
    most_us = _most_us(ctx.node, quota_us)
    if wanted_us > most_us:
        ctx.set(CPU_BURST, most_us, "cpuBurstPercent of the limit, down to what this kernel takes beside the quota")
    else:
        ctx.set(CPU_BURST, wanted_us, "cpuBurstPercent of the limit")


def _most_us(node: NodeState, quota_us: int) -> int:
    most_us = max(MOST_BANDWIDTH_US - quota_us, 0)
    # On v2 the kernel documents no more than the quota, and a container with a larger burst would not start.
    if node.cgroup_version == 1 and fields.CPU_BVT.file(1, node.cgroup_files):
        return most_us
    return min(quota_us, most_us)


def _percent(ctx: ContainerContext | PodContext) -> int:
    """cpuBurstPercent for this pod; 0 when burst is not enabled, or not for this pod."""
    pod = ctx.pod
    burst = ctx.policy.burst
    own = CPU_BURST_KEY in pod.annotations
    if (burst.policy == "none" and not own) or pod.qos in _NEVER:
        return 0
    if own:
        try:
            burst = ctx.policy.cpu_burst(pod)
        except AnnotationError as error:
            ctx.error(error)  # the node's value applies
    return burst.cpu_burst_percent if burst.policy in ("auto", "cpuBurstOnly") else 0


def _limits_milli(pod: Pod, spec: PodSpec) -> dict[str, int]:
    """Container, and _WHOLE for the pod → the spec's CPU limit in milli-cores, 0: no limit. Parsed once per spec, because parsing costs as
    much as the rest of the decision.
    """
    known: tuple[PodSpec, dict[str, int]] | None = pod.parsed.get(_PARSED)
    if known is not None and known[0] is spec:
        return known[1]
    limits = {}
    for name, asked in (*((n, c.limits) for n, c in spec.containers.items()), (_WHOLE, spec.limits)):
        limits[name] = 0
        with contextlib.suppress(ValueError):  # the API server accepts no such quantity
            limits[name] = max(quantity_milli(asked.get("cpu", 0)), 0)
    pod.parsed[_PARSED] = (spec, limits)
    return limits
