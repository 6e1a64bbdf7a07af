"""memoryQOS of a class, and the pod annotation `koordinator.sh/memoryQOS`. Source: Koordinator's MemoryQOS and cgreconcile."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from koordnri.policy.reader import Document
from koordnri.policy.units import Percent, Quantity, Switch

WmarkScale = Annotated[int, Meta(ge=1, le=1000)]
WmarkMinAdj = Annotated[int, Meta(ge=-25, le=50)]
MemoryPriority = Annotated[int, Meta(ge=0, le=12)]


class MemoryQOS(Document, frozen=True):
    """Memory protection and reclaim. The plain defaults are Koordinator's None: nothing is protected or throttled."""

    enable: bool = False
    """False: the class has the None values, whatever else is set."""
    min_limit_percent: Percent = 0
    """memory.min, percent of the request: never reclaimed."""
    low_limit_percent: Percent = 0
    """memory.low, percent of the request: reclaimed last."""
    throttling_percent: Percent = 0
    """memory.high, percent of the way from request to limit; 0: no throttling."""
    wmark_ratio: Percent = 0
    """Asynchronous reclaim starts at this percent of the limit; 0 is off (Anolis)."""
    wmark_scale_permill: WmarkScale = 50
    """Step of asynchronous reclaim, per mille of the limit (Anolis)."""
    wmark_min_adj: WmarkMinAdj = 0
    """Shift of the global watermark; below 0 the class is reclaimed later than others (Anolis)."""
    priority_enable: Switch = 0
    """Whether the OOM killer respects priority (Anolis)."""
    priority: MemoryPriority = 0
    """OOM priority, lowest dies first (Anolis)."""
    oom_kill_group: Switch | None = None
    """memory.oom.group: the container, or the pod, is killed as a whole. None: left to kubelet, which sets 1 on v2. Koordinator's default
    0 means "not asked"."""
    page_cache_enable: bool | None = None
    """None: on as soon as there is a page cache limit (Anolis)."""
    page_cache_limit_percent: Percent | None = None
    """Page cache limit, percent of the memory limit."""
    page_cache_limit_size: Quantity | None = None
    """Page cache limit, bytes; at most the memory limit; beats the percent."""
    page_cache_reclaim_sync: bool | None = None
    """Whether the limit is enforced at allocation (True) or in the background; None means False."""


NONE_MEMORY_QOS = MemoryQOS()
"""Value of a disabled class, or of a pod with policy `none`."""


class PodMemoryQOS(Document, frozen=True):
    """Value of the pod annotation `koordinator.sh/memoryQOS`; None: not set."""

    policy: Literal["default", "none", "auto"] = "default"
    """default: over the class's values; none: switched off, the rest is ignored; auto: over the class's recommended values."""
    min_limit_percent: Percent | None = None
    low_limit_percent: Percent | None = None
    throttling_percent: Percent | None = None
    wmark_ratio: Percent | None = None
    wmark_scale_permill: WmarkScale | None = None
    wmark_min_adj: WmarkMinAdj | None = None
    priority_enable: Switch | None = None
    priority: MemoryPriority | None = None
    oom_kill_group: Switch | None = None
    page_cache_enable: bool | None = None
    page_cache_limit_percent: Percent | None = None
    page_cache_limit_size: Quantity | None = None
    page_cache_reclaim_sync: bool | None = None


_EXPLICIT = tuple(name for name in PodMemoryQOS.__struct_fields__ if name != "policy")

_LATENCY_SENSITIVE = MemoryQOS(wmark_ratio=95, wmark_scale_permill=20, wmark_min_adj=-25)
_RECOMMENDED = {
    "LSE": _LATENCY_SENSITIVE,
    "LSR": _LATENCY_SENSITIVE,
    "LS": _LATENCY_SENSITIVE,
    "BE": MemoryQOS(wmark_ratio=95, wmark_scale_permill=20, wmark_min_adj=50),
}


def recommended_memory_qos(qos: str) -> MemoryQOS:
    """Koordinator's defaults for a QoS label (`LS`, `BE`, …), not enabled; for SYSTEM and other texts the None values."""
    return _RECOMMENDED.get(qos, NONE_MEMORY_QOS)


def merge_memory_qos(class_config: MemoryQOS, annotation: PodMemoryQOS | None, recommended: MemoryQOS) -> MemoryQOS:
    """The memory QoS of one pod.

    class_config: the policy's value for the pod's class; if it is disabled, the None values are used.
    annotation: the pod's, None without one. It counts whether or not the class is enabled.
    recommended: `recommended_memory_qos` of the pod's class, used for policy `auto`.
    In the result, `enable` says whether class or pod ask for anything.
    """
    base = class_config if class_config.enable else NONE_MEMORY_QOS
    if annotation is None:
        return base
    if annotation.policy == "none":
        return NONE_MEMORY_QOS
    changes = {name: value for name in _EXPLICIT if (value := getattr(annotation, name)) is not None}
    if annotation.policy == "auto":
        return msgspec.structs.replace(recommended, enable=True, **changes)
    return msgspec.structs.replace(base, enable=True, **changes) if changes else base
