"""`system-config`: sysctls of the node. Source: Koordinator's SystemStrategy."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from koordnri.policy.reader import Document
from koordnri.policy.units import NotNegative, Positive, Quantity, Switch


class SystemStrategy(Document, frozen=True):
    """None: the sysctl is not changed, so a node keeps its distribution's value."""

    min_free_kbytes_factor: Positive | None = None
    """vm.min_free_kbytes as 1/10000 of the node's memory."""
    watermark_scale_factor: Annotated[int, Meta(ge=0, le=400)] | None = None
    """vm.watermark_scale_factor. The kernel's own range starts at 10."""
    memcg_reap_back_ground: Switch | None = None
    """Background reclaim of dead memory cgroups (Anolis)."""
    sched_group_identity_enabled: Switch | None = None
    """kernel.sched_group_identity_enabled (Anolis)."""
    sched_idle_saver_wmark: NotNegative | None = None
    """kernel.sched_idle_saver_wmark, ns (Anolis)."""
    sched_features: dict[str, bool] | None = None
    """Scheduler features by name, merged by name."""
    page_cache_limit_enabled: Switch | None = None
    """Global switch of the page cache limit (Anolis)."""
    total_network_bandwidth: Quantity = 0
    """Bits/s of the node's network; 0: unknown, and percents in networkQOS have no meaning."""
