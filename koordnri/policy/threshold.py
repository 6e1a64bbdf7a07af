"""`resource-threshold-config`: when best-effort work is suppressed or evicted. Source: Koordinator's ResourceThresholdStrategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field

from koordnri.policy.reader import Document
from koordnri.policy.units import NotNegative, Percent, Positive

PriorityThreshold = Annotated[int, Meta(ge=0, le=7999)]
"""Pod priorities up to koord-mid; a typo must not make prod (9000 and more) evictable."""


class ResourceThreshold(Document, frozen=True):
    """Percents of the node's capacity, unless noted otherwise. None: the feature is off."""

    enable: bool = False
    """Master switch of suppression and eviction."""

    cpu_suppress_threshold_percent: Percent = 65
    """Node CPU usage above which BE gets less."""
    cpu_suppress_min_percent: Percent | None = None
    """Floor of BE's CPU budget; None: two CPUs (cpuset) or 2000 µs (quota)."""
    cpu_suppress_policy: Literal["cpuset", "cfsQuota"] = "cpuset"
    """How BE is restricted."""

    memory_evict_threshold_percent: Percent = 70
    """Node memory usage that starts eviction of BE pods."""
    memory_evict_lower_percent: Percent | None = None
    """Usage that eviction aims at; None: the threshold less 2."""
    memory_allocatable_evict_threshold_percent: NotNegative | None = None
    """Requests of batch-memory or mid-memory, percent of the Node's, that start eviction. It may be above 100: that shrinks under pods."""
    memory_allocatable_evict_lower_percent: NotNegative | None = None
    """Requests that eviction aims at."""

    cpu_evict_policy: Literal["evictByRealLimit", "evictByAllocatable"] = "evictByRealLimit"
    """What BE satisfaction is measured against: what BE has now, or the node's batch-cpu."""
    cpu_evict_be_satisfaction_lower_percent: Annotated[int, Meta(ge=0, le=60)] | None = field(
        default=None, name="cpuEvictBESatisfactionLowerPercent"
    )
    """BE limit / BE request that starts eviction. Koordinator uses 1..60."""
    cpu_evict_be_satisfaction_upper_percent: Percent | None = field(
        default=None, name="cpuEvictBESatisfactionUpperPercent"
    )
    """BE limit / BE request that eviction aims at."""
    cpu_evict_be_usage_threshold_percent: Percent | None = field(default=None, name="cpuEvictBEUsageThresholdPercent")
    """BE usage / BE limit that must also hold; None: 90."""
    cpu_evict_time_window_seconds: Positive | None = None
    """Seconds over which usage is averaged."""
    cpu_evict_threshold_percent: Percent | None = None
    """Node CPU usage that starts eviction by priority."""
    cpu_evict_lower_percent: Percent | None = None
    """Usage that eviction aims at; None: the threshold less 2."""
    cpu_allocatable_evict_threshold_percent: NotNegative | None = None
    """The same of batch-cpu and mid-cpu."""
    cpu_allocatable_evict_lower_percent: NotNegative | None = None
    """Requests that eviction aims at."""

    evict_enabled_priority_threshold: PriorityThreshold | None = None
    """Highest pod priority that usage may evict."""
    allocatable_evict_priority_threshold: PriorityThreshold | None = None
    """Highest pod priority that over-allocation may evict."""

    def check(self) -> Iterator[tuple[str, str]]:
        for low_name, low, high_name, high in (
            (
                "memoryEvictLowerPercent",
                self.memory_evict_lower_percent,
                "memoryEvictThresholdPercent",
                self.memory_evict_threshold_percent,
            ),
            (
                "memoryAllocatableEvictLowerPercent",
                self.memory_allocatable_evict_lower_percent,
                "memoryAllocatableEvictThresholdPercent",
                self.memory_allocatable_evict_threshold_percent,
            ),
            (
                "cpuEvictLowerPercent",
                self.cpu_evict_lower_percent,
                "cpuEvictThresholdPercent",
                self.cpu_evict_threshold_percent,
            ),
            (
                "cpuAllocatableEvictLowerPercent",
                self.cpu_allocatable_evict_lower_percent,
                "cpuAllocatableEvictThresholdPercent",
                self.cpu_allocatable_evict_threshold_percent,
            ),
        ):
            if low is not None and high is not None and low >= high:
                yield low_name, f"expected less than {high_name} {high}, got {low}"
        lower, upper = self.cpu_evict_be_satisfaction_lower_percent, self.cpu_evict_be_satisfaction_upper_percent
        if lower is not None and upper is not None and lower > upper:
            yield (
                "cpuEvictBESatisfactionLowerPercent",
                f"expected at most cpuEvictBESatisfactionUpperPercent {upper}, got {lower}",
            )
