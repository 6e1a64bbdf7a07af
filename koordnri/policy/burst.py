"""`cpu-burst-config`, and the pod annotation `koordinator.sh/cpuBurst` with the same fields. Source: Koordinator's CPUBurstStrategy."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from koordnri.policy.reader import Document
from koordnri.policy.units import Percent

BurstPolicy = Literal["none", "auto", "cpuBurstOnly", "cfsQuotaBurstOnly"]


class CPUBurst(Document, frozen=True):
    """A pod's annotation is read over the node's value: `decode(CPUBurst, text, path, over=policy.burst)`."""

    policy: BurstPolicy = "none"
    """auto is both kinds: the kernel's burst buffer, and raising the quota of throttled containers."""
    cpu_burst_percent: Annotated[int, Meta(ge=1, le=10000)] = 1000
    """cpu.burst as percent of the CPU limit. Mainline kernels refuse more than 100; Koordinator's default is for Anolis."""
    cfs_quota_burst_percent: Annotated[int, Meta(ge=100)] = 300
    """Ceiling of the raised quota, percent of the limit."""
    cfs_quota_burst_period_seconds: Annotated[int, Meta(ge=-1)] = -1
    """Seconds a container may stay at the ceiling; -1 is without limit."""
    share_pool_threshold_percent: Percent = 50
    """Usage of the shared CPUs above which raised quotas are taken back."""
