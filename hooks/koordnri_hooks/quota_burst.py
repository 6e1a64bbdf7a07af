"""Quota burst: more CFS quota for containers that their limit throttles, as long as the controller wants it (koordnri.control.quota_burst).

The controller counts from the limit, which is the baseline. Where an earlier step changed the quota (normalisation), the gain changes in
proportion. A pod's quota grows by what its containers gain, so that it never throttles them first. Nothing is raised where there is no
quota: it was unset or lifted, or somebody has no limit.

The raised quota is written and never recorded. cpu.burst stays: the kernel takes no more of it than the quota was.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext, PodContext
from koordnri.model import Container
from koordnri.model.control import Wanted
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.model.fields import CPU_QUOTA

OF_CONTAINERS = "quota burst: what its containers get above their limits"


def raise_quota(ctx: ContainerContext) -> None:
    """Raise the container's quota if that is wanted. cpu.quota is already decided."""
    wanted = ctx.node.control.quotas_us.get(ctx.container.id)
    if wanted is not None:
        _raise(ctx, _gain_us(ctx.container, wanted), wanted.reason)


def raise_pod_quota(ctx: PodContext) -> None:
    """The same for the pod's own cgroup, by as much as all its containers."""
    wanted = ctx.node.control.quotas_us
    gains_us = [_gain_us(one, wanted[one.id]) for one in ctx.containers if one.id in wanted]
    if gains_us:
        _raise(ctx, sum(gains_us), OF_CONTAINERS)


def _gain_us(container: Container, wanted: Wanted) -> int:
    """What it gets above what kubelet asked for, µs per its own period; 0 where kubelet asked for no quota, or for more."""
    asked_us = container.baseline.cpu_quota or 0
    wanted_us: int = wanted.value * (container.baseline.cpu_period or CFS_PERIOD_US) // CFS_PERIOD_US
    return max(wanted_us - asked_us, 0) if asked_us > 0 else 0


def _raise(ctx: ContainerContext | PodContext, gain_us: int, reason: str) -> None:
    asked_us = ctx.baseline.cpu_quota or 0
    decided = ctx.value(CPU_QUOTA)
    quota_us: int = asked_us if decided is None else decided
    if gain_us > 0 and asked_us > 0 and quota_us > 0:
        ctx.control(CPU_QUOTA, quota_us + -(-gain_us * quota_us // asked_us), reason)
