"""`cpu-burst-config`, and the pod annotation `koordinator.sh/cpuBurst` with the same fields. Source: Koordinator's CPUBurstStrategy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from koordnri.policy.reader import Document
from koordnri.policy.units import Percent

BurstPolicy = Literal["none", "auto", "cpuBurstOnly", "cfsQuotaBurstOnly"]
CPUBurstPercent = Annotated[int, Meta(ge=1, le=10000)]
QuotaBurstPercent = Annotated[int, Meta(ge=100)]
QuotaBurstPeriod = Annotated[int, Meta(ge=-1)]


class CPUBurst(Document, frozen=True):
    """The document. A pod's annotation takes precedence, see `merge_cpu_burst`."""

    policy: BurstPolicy = "none"
    """auto: both the kernel's burst buffer, and raising the quota of throttled containers."""
    cpu_burst_percent: CPUBurstPercent = 1000
    """cpu.burst as percent of the CPU limit. Mainline kernels take no more than 100; Koordinator's default is for Anolis."""
    cfs_quota_burst_percent: QuotaBurstPercent = 300
    """Ceiling of the raised quota, percent of the limit."""
    cfs_quota_burst_period_seconds: QuotaBurstPeriod = -1
    """Seconds a container may stay at the ceiling; -1 is without limit."""
    share_pool_threshold_percent: Percent = 50
    """Usage of the shared CPUs above which raised quotas are taken back."""


class PodCPUBurst(Document, frozen=True):
    """Value of the pod annotation `koordinator.sh/cpuBurst`; None: not set."""

    policy: BurstPolicy | None = None
    cpu_burst_percent: CPUBurstPercent | None = None
    cfs_quota_burst_percent: QuotaBurstPercent | None = None
    cfs_quota_burst_period_seconds: QuotaBurstPeriod | None = None


def merge_cpu_burst(node: CPUBurst, annotation: PodCPUBurst | None) -> CPUBurst:
    """The value for one pod: the pod's annotation over the node's value, field by field."""
    if annotation is None:
        return node
    given = {name: value for name in annotation.__struct_fields__ if (value := getattr(annotation, name)) is not None}
    return msgspec.structs.replace(node, **given) if given else node
