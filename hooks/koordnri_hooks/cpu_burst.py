"""The kernel's CPU burst: what a container did not use of its quota, it may use on top later, up to cpu.burst µs.

    container   limit × cpuBurstPercent / 100
    pod         the sum of its containers', so that its own quota does not throttle what they may use; where the pod has a limit of its
                own (spec.resources), which kubelet gives to containers without one, that limit × cpuBurstPercent / 100

By `cpu-burst-config`, under the pod's annotation `koordinator.sh/cpuBurst`, field by field (one that cannot be read
changes nothing); for pods of LS, SYSTEM and without a class.
The policies auto and cpuBurstOnly mean it, cfsQuotaBurstOnly does not. Nothing is set where there is no limit, or the quota was unset.

Mainline kernels refuse a burst above the quota, and a quota below the burst. So there it is clamped to the quota: Koordinator's default
of 1000 % gives one full quota. And since neither kubelet nor runtime know of the burst when they shrink a limit in place, it goes down
ahead of them, as soon as the pod's spec has the smaller limit. Where no spec is read, kubelet's first attempt at a container fails and
the next one comes through; the pod follows its containers. Kernels with group identity (Anolis) take more than the quota on v1, as
Koordinator means it.

Raising the quota itself of containers that are throttled (cfsQuotaBurst) is not here. Source: koordlet.md 3.2.
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
"""Quota and burst together; the kernel counts in fixed point."""
NO_LIMIT = "no CPU limit to burst over"
NO_QUOTA = "no quota to burst over: it was unset"
NO_CONTAINERS = "cpu.burst of a pod is the sum of its containers', and no limits of such are known yet"
_PARSED = "CPU limits of the spec"
_WHOLE = ""
"""Stands for the pod's own resources among its containers, none of which has this name."""
_NEVER = (QoSClass.LSR, QoSClass.LSE, QoSClass.BE)


def set_burst(ctx: ContainerContext) -> None:
    """Decide the container's cpu.burst; cpu.quota is decided already."""
    percent = _percent(ctx)
    if not percent:
        return
    baseline = ctx.baseline
    limit_us = baseline.cpu_quota or 0
    if limit_us <= 0:
        ctx.skip(CPU_BURST, NO_LIMIT)
        return
    decided = ctx.value(CPU_QUOTA)
    quota_us: int = limit_us if decided is None else decided
    if quota_us <= 0:
        ctx.skip(CPU_BURST, NO_QUOTA)
        return
    ahead_milli = 0
    if ctx.pod.spec is not None:
        limits_milli = _limits_milli(ctx.pod, ctx.pod.spec)
        # Without a limit of its own, kubelet gives it the pod's.
        ahead_milli = limits_milli.get(ctx.container.name, 0) or limits_milli[_WHOLE]
    ahead_us = milli_to_quota_us(ahead_milli, baseline.cpu_period or CFS_PERIOD_US)
    if 0 < ahead_us < limit_us:
        # To be shrunk in place: kubelet's smaller quota would be refused while the burst is larger.
        limit_us, quota_us = ahead_us, quota_us * ahead_us // limit_us
    _set(ctx, limit_us * percent // 100, quota_us)


def set_pod_burst(ctx: PodContext) -> None:
    """The same for the pod's own cgroup."""
    percent = _percent(ctx)
    if not percent:
        return
    baseline = ctx.baseline
    limit_us = baseline.cpu_quota or 0
    if limit_us <= 0:
        ctx.skip(CPU_BURST, NO_LIMIT)
        return
    decided = ctx.value(CPU_QUOTA)
    quota_us: int = limit_us if decided is None else decided
    if quota_us <= 0:
        ctx.skip(CPU_BURST, NO_QUOTA)
        return
    limits_us = _all_limits_us(ctx)
    if not limits_us:
        ctx.skip(CPU_BURST, NO_CONTAINERS)
        return
    if sum(limits_us) < limit_us:
        quota_us = quota_us * sum(limits_us) // limit_us  # to be shrunk in place, as above
    _set(ctx, sum(one * percent // 100 for one in limits_us), quota_us)


def _all_limits_us(ctx: PodContext) -> list[int]:
    """Limits of the pod's containers that run beside each other, or that of the pod, as quotas: by the spec, else by what the runtime told.

    By the spec, since kubelet goes by it when it shrinks the pod's own quota, which must not be kept from it by the burst.
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
    # v2's documentation promises no more than the quota on any kernel, and a container that asks more would not start.
    if node.cgroup_version == 1 and fields.CPU_BVT.file(1, node.cgroup_files):
        return most_us
    return min(quota_us, most_us)


def _percent(ctx: ContainerContext | PodContext) -> int:
    """cpuBurstPercent for this pod; 0 when nobody asks for it, or it is not for this pod."""
    pod = ctx.pod
    burst = ctx.policy.burst
    own = CPU_BURST_KEY in pod.annotations
    if (burst.policy == "none" and not own) or pod.qos in _NEVER:
        return 0
    if own:
        try:
            burst = ctx.policy.cpu_burst(pod)
        except AnnotationError as error:
            ctx.error(error)  # and the node's holds
    return burst.cpu_burst_percent if burst.policy in ("auto", "cpuBurstOnly") else 0


def _limits_milli(pod: Pod, spec: PodSpec) -> dict[str, int]:
    """Container, and _WHOLE for the pod → the spec's CPU limit in milli-cores, 0 without limit. Read once per spec, for it costs as much
    as all the rest.
    """
    known: tuple[PodSpec, dict[str, int]] | None = pod.parsed.get(_PARSED)
    if known is not None and known[0] is spec:
        return known[1]
    limits = {}
    for name, asked in (*((n, c.limits) for n, c in spec.containers.items()), (_WHOLE, spec.limits)):
        limits[name] = 0
        with contextlib.suppress(ValueError):  # the API server takes no such thing
            limits[name] = max(quantity_milli(asked.get("cpu", 0)), 0)
    pod.parsed[_PARSED] = (spec, limits)
    return limits
