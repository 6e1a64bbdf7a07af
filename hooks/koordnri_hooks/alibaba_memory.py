"""What memoryQOS asks of Alibaba's kernels only: watermarks of reclaim, priorities of the OOM killer, a limit of the page cache.

Steps of the hook `memory`, which owns their fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.hook import ClassContext, ContainerContext, HostContext, PodContext
from koordnri.model import KubeQoS, fields
from koordnri.model.annotations import BATCH_MEMORY
from koordnri.model.fields import Field
from koordnri.model.routes import Refusal
from koordnri_hooks.batch import MOST

if TYPE_CHECKING:
    from koordnri.policy import MemoryQOS

NO_POD_LIMIT = "memoryQOS pageCacheLimitPercent is of the memory limit, and there is none"


def set_reclaim(ctx: ContainerContext | PodContext | HostContext, qos: MemoryQOS) -> None:
    """Watermarks and priorities, of containers, pods and host applications alike."""
    _set_together(
        ctx,
        (fields.MEMORY_WMARK_RATIO, qos.wmark_ratio, "memoryQOS wmarkRatio"),
        (fields.MEMORY_WMARK_SCALE, qos.wmark_scale_permill, "memoryQOS wmarkScalePermill"),
        (fields.MEMORY_WMARK_MIN_ADJ, qos.wmark_min_adj, "memoryQOS wmarkMinAdj"),
    )
    _set_together(
        ctx,
        (fields.MEMORY_PRIORITY, qos.priority, "memoryQOS priority"),
        (fields.MEMORY_PRIORITY_OOM, qos.priority_enable, "memoryQOS priorityEnable"),
    )


def _set_together(ctx: ContainerContext | PodContext | HostContext, *wanted: tuple[Field, int, str]) -> None:
    """Set files that a kernel has all or none of. If it has none, one skipped field says enough."""
    for field, value, reason in wanted:
        if value != field.neutral:
            ctx.set(field, value, reason)
            if ctx.routes[field].__class__ is Refusal:
                return


def limit_page_cache(ctx: PodContext | HostContext, qos: MemoryQOS, limit: int) -> None:
    """Limit the page cache of a pod or host application. `limit`: its memory limit in bytes, -1 for none."""
    if qos.page_cache_enable is False:
        return
    size, reason = qos.page_cache_limit_size, "memoryQOS pageCacheLimitSize"
    if size is None and qos.page_cache_limit_percent:
        if limit <= 0:
            ctx.skip(fields.PAGE_CACHE_SIZE, NO_POD_LIMIT)
            return
        size, reason = limit * qos.page_cache_limit_percent // 100, "memoryQOS pageCacheLimitPercent"
    size = min(size or 0, limit if limit > 0 else MOST[BATCH_MEMORY])
    _set_together(
        ctx,
        (fields.PAGE_CACHE_SIZE, size, reason),
        (fields.PAGE_CACHE_SYNC, int(bool(size and qos.page_cache_reclaim_sync)), "memoryQOS pageCacheReclaimSync"),
        # Written last, so that the limit is enabled only with its new size.
        (
            fields.PAGE_CACHE_ENABLE,
            int(bool(size or qos.page_cache_enable)),
            reason if size else "memoryQOS pageCacheEnable",
        ),
    )


def prioritize(ctx: ClassContext) -> None:
    """The OOM killer compares the children of a cgroup with use_priority_oom, level by level, from the cgroup that is out of memory."""
    qos = ctx.policy.qos
    if ctx.kube_qos is KubeQoS.GUARANTEED:
        if any(c.memory.enable and c.memory.priority_enable for c in (qos.lsr, qos.ls, qos.be)):
            ctx.set(fields.MEMORY_PRIORITY_OOM, 1, "memoryQOS priorityEnable of a class")
        return
    memory = (qos.ls if ctx.kube_qos is KubeQoS.BURSTABLE else qos.be).memory
    if memory.enable and memory.priority:
        ctx.set(fields.MEMORY_PRIORITY, memory.priority, "memoryQOS priority of the class")
    if memory.enable and memory.priority_enable:
        ctx.set(fields.MEMORY_PRIORITY_OOM, 1, "memoryQOS priorityEnable of the class")
