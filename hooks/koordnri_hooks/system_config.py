"""Sysctls of the node, by `system-config`. The memory hook sets those of memory, cfs_quota those of the scheduler.

    minFreeKbytesFactor        vm.min_free_kbytes = the node's memory in KiB × factor / 10000, from 10 MiB to 10 GiB
    watermarkScaleFactor       vm.watermark_scale_factor, from 10 to 400
    memcgReapBackGround        /sys/kernel/mm/memcg_reaper/reap_background (Anolis)
    schedGroupIdentityEnabled  kernel.sched_group_identity_enabled (Anolis)
    schedIdleSaverWmark        kernel.sched_idle_saver_wmark, ns (Anolis)
    schedFeatures              /sys/kernel/debug/sched/features, by name; those that this kernel lacks are left out
    pageCacheLimitEnabled      /sys/kernel/mm/pagecache_limit/enabled (Anolis)

A key that is not written leaves its sysctl alone, and one that is no longer written gives it back. A value out of range is not set. The
daemon must be allowed to write them: `--write sysctls`. Source: koordinator.md 12.
"""

from __future__ import annotations

from koordnri.hook import RootContext
from koordnri.model.fields import (
    MEMCG_REAPER,
    PAGE_CACHE_LIMIT,
    SCHED_FEATURE,
    SCHED_GROUP_IDENTITY,
    SCHED_IDLE_SAVER,
    VM_MIN_FREE,
    VM_WATERMARK_SCALE,
    Field,
)

LEAST_FREE_KIB, MOST_FREE_KIB = 10 * 1024, 10 * 1024 * 1024
LEAST_SCALE = 10
"""The kernel takes less, and koordlet does not."""


def set_memory_sysctls(ctx: RootContext) -> None:
    """vm.min_free_kbytes, vm.watermark_scale_factor, and Anolis' reaper and page cache limit."""
    system = ctx.policy.system
    if (factor := system.min_free_kbytes_factor) is not None:
        _set_min_free(ctx, factor)
    scale = system.watermark_scale_factor
    if scale is not None and scale < LEAST_SCALE:
        ctx.skip(VM_WATERMARK_SCALE, f"watermarkScaleFactor {scale} is below {LEAST_SCALE}")
        scale = None
    _set(ctx, VM_WATERMARK_SCALE, scale, "watermarkScaleFactor")
    _set(ctx, MEMCG_REAPER, system.memcg_reap_back_ground, "memcgReapBackGround")
    _set(ctx, PAGE_CACHE_LIMIT, system.page_cache_limit_enabled, "pageCacheLimitEnabled")


def set_scheduler_sysctls(ctx: RootContext) -> None:
    """The scheduler's features, and Anolis' group identity and idle saver."""
    system = ctx.policy.system
    _set(ctx, SCHED_GROUP_IDENTITY, system.sched_group_identity_enabled, "schedGroupIdentityEnabled")
    _set(ctx, SCHED_IDLE_SAVER, system.sched_idle_saver_wmark, "schedIdleSaverWmark")
    known = ctx.node.sched_features
    for name, on in (system.sched_features or {}).items():
        if known is not None and name not in known:
            ctx.skip(SCHED_FEATURE, "schedFeatures: this kernel's scheduler has no such feature", name)
        else:
            ctx.set(SCHED_FEATURE, int(on), "schedFeatures", name)


def _set_min_free(ctx: RootContext, factor: int) -> None:
    memory_kib = ctx.node.memory_bytes // 1024
    kib = memory_kib * factor // 10_000
    if not memory_kib:
        ctx.skip(VM_MIN_FREE, "minFreeKbytesFactor: the node's memory is not known")
    elif LEAST_FREE_KIB <= kib <= MOST_FREE_KIB:
        ctx.set(VM_MIN_FREE, kib, f"minFreeKbytesFactor {factor} of {memory_kib} KiB")
    else:
        what = f"minFreeKbytesFactor {factor} of {memory_kib} KiB is {kib} KiB"
        ctx.skip(VM_MIN_FREE, f"{what}, and not from {LEAST_FREE_KIB} to {MOST_FREE_KIB}")


def _set(ctx: RootContext, field: Field, value: int | None, key: str) -> None:
    if value is not None:
        ctx.set(field, value, key)
