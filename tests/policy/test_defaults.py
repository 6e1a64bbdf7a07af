"""Defaults and ranges: each row of Koordinator's tables is a row here."""

import pytest

from koordnri.policy import DEFAULT_POLICY, PolicyError
from tests.policy.documents import policy_with

THRESHOLD, QOS, BURST = "resource-threshold-config", "resource-qos-config", "cpu-burst-config"
SYSTEM, NORMALIZATION, OWN = "system-config", "cpu-normalization-config", "koordnri-config"


def attribute(policy, path):
    for name in path.split("."):
        policy = getattr(policy, name)
    return policy


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("revision", "default"),
        ("threshold.enable", False),
        ("threshold.cpu_suppress_threshold_percent", 65),
        ("threshold.cpu_suppress_policy", "cpuset"),
        ("threshold.memory_evict_threshold_percent", 70),
        ("threshold.cpu_evict_policy", "evictByRealLimit"),
        ("threshold.cpu_suppress_min_percent", None),
        ("threshold.memory_evict_lower_percent", None),
        ("threshold.memory_allocatable_evict_threshold_percent", None),
        ("threshold.memory_allocatable_evict_lower_percent", None),
        ("threshold.cpu_evict_be_satisfaction_lower_percent", None),
        ("threshold.cpu_evict_be_satisfaction_upper_percent", None),
        ("threshold.cpu_evict_be_usage_threshold_percent", None),
        ("threshold.cpu_evict_time_window_seconds", None),
        ("threshold.cpu_evict_threshold_percent", None),
        ("threshold.cpu_evict_lower_percent", None),
        ("threshold.cpu_allocatable_evict_threshold_percent", None),
        ("threshold.cpu_allocatable_evict_lower_percent", None),
        ("threshold.evict_enabled_priority_threshold", None),
        ("threshold.allocatable_evict_priority_threshold", None),
        ("burst.policy", "none"),
        ("burst.cpu_burst_percent", 1000),
        ("burst.cfs_quota_burst_percent", 300),
        ("burst.cfs_quota_burst_period_seconds", -1),
        ("burst.share_pool_threshold_percent", 50),
        ("qos.policies.cpu_policy", "groupIdentity"),
        ("qos.policies.net_qos_policy", "tc"),
        ("system.min_free_kbytes_factor", None),
        ("system.watermark_scale_factor", None),
        ("system.memcg_reap_back_ground", None),
        ("system.sched_group_identity_enabled", None),
        ("system.sched_idle_saver_wmark", None),
        ("system.sched_features", None),
        ("system.page_cache_limit_enabled", None),
        ("system.total_network_bandwidth", 0),
        ("normalization.enable", False),
        ("normalization.default_ratio", 1.0),
        ("normalization.ratio_model", {}),
        ("host_applications", ()),
        ("cpuset.keep_quota", False),
        ("cpuset.be_cpu_manager", False),
        ("cfs_quota.lift_for", ()),
        ("cpuset.keep_interrupts_off", False),
        ("cpuset.expose", "none"),
        ("memory.oom_score_adj", {}),
        ("blkio.class_names", {}),
        ("gpu.hami_library_path", "/usr/local/vgpu/libvgpu.so"),
        ("gpu.hami_lock_path", "/tmp/vgpulock"),
        ("gpu.hami_cache_directory", None),
        ("chain_budget_s", None),
        ("namespaces_left_alone", frozenset()),
        ("reserved_cpus", None),
        ("record_route", None),
        ("publish_topology", "none"),
    ],
)
def test_default(path, expected):
    assert attribute(DEFAULT_POLICY, path) == expected


@pytest.mark.parametrize(
    ("path", "lsr", "ls", "be", "system"),
    [
        ("cpu.enable", False, False, False, False),
        ("memory.enable", False, False, False, False),
        ("blkio.enable", False, False, False, False),
        ("resctrl.enable", False, False, False, False),
        ("network.enable", False, False, False, False),
        ("cpu.group_identity", 2, 2, -1, 0),
        ("cpu.sched_idle", 0, 0, 0, 0),
        ("cpu.core_expeller", True, True, False, False),
        ("memory.min_limit_percent", 0, 0, 0, 0),
        ("memory.low_limit_percent", 0, 0, 0, 0),
        ("memory.throttling_percent", 0, 0, 0, 0),
        ("memory.wmark_ratio", 95, 95, 95, 0),
        ("memory.wmark_scale_permill", 20, 20, 20, 50),
        ("memory.wmark_min_adj", -25, -25, 50, 0),
        ("memory.priority_enable", 0, 0, 0, 0),
        ("memory.priority", 0, 0, 0, 0),
        ("memory.oom_kill_group", None, None, None, None),
        ("memory.page_cache_enable", None, None, None, None),
        ("memory.page_cache_limit_percent", None, None, None, None),
        ("memory.page_cache_limit_size", None, None, None, None),
        ("memory.page_cache_reclaim_sync", None, None, None, None),
        ("resctrl.cat_range_start_percent", 0, 0, 0, 0),
        ("resctrl.cat_range_end_percent", 100, 100, 30, 100),
        ("resctrl.mba_percent", 100, 100, 100, 100),
        ("blkio.blocks", (), (), (), ()),
        ("network.ingress_limit", None, None, None, None),
    ],
)
def test_default_by_class(path, lsr, ls, be, system):
    qos = DEFAULT_POLICY.qos
    found = [attribute(block, path) for block in (qos.lsr, qos.ls, qos.be, qos.system, qos.cgroup_root)]
    assert found == [lsr, ls, be, system, system]


BE = "beClass"
RANGES = [
    # key, path in JSON, attribute, least, most (None: no bound)
    (THRESHOLD, "cpuSuppressThresholdPercent", "threshold.cpu_suppress_threshold_percent", 0, 100),
    (THRESHOLD, "cpuSuppressMinPercent", "threshold.cpu_suppress_min_percent", 0, 100),
    (THRESHOLD, "memoryEvictThresholdPercent", "threshold.memory_evict_threshold_percent", 0, 100),
    (
        THRESHOLD,
        "memoryAllocatableEvictThresholdPercent",
        "threshold.memory_allocatable_evict_threshold_percent",
        0,
        None,
    ),
    (THRESHOLD, "memoryAllocatableEvictLowerPercent", "threshold.memory_allocatable_evict_lower_percent", 0, None),
    (THRESHOLD, "cpuEvictBESatisfactionLowerPercent", "threshold.cpu_evict_be_satisfaction_lower_percent", 0, 60),
    (THRESHOLD, "cpuEvictBESatisfactionUpperPercent", "threshold.cpu_evict_be_satisfaction_upper_percent", 0, 100),
    (THRESHOLD, "cpuEvictBEUsageThresholdPercent", "threshold.cpu_evict_be_usage_threshold_percent", 0, 100),
    (THRESHOLD, "cpuEvictTimeWindowSeconds", "threshold.cpu_evict_time_window_seconds", 1, None),
    (THRESHOLD, "cpuEvictThresholdPercent", "threshold.cpu_evict_threshold_percent", 0, 100),
    (THRESHOLD, "cpuEvictLowerPercent", "threshold.cpu_evict_lower_percent", 0, 100),
    (THRESHOLD, "cpuAllocatableEvictThresholdPercent", "threshold.cpu_allocatable_evict_threshold_percent", 0, None),
    (THRESHOLD, "cpuAllocatableEvictLowerPercent", "threshold.cpu_allocatable_evict_lower_percent", 0, None),
    (THRESHOLD, "evictEnabledPriorityThreshold", "threshold.evict_enabled_priority_threshold", 0, 7999),
    (THRESHOLD, "allocatableEvictPriorityThreshold", "threshold.allocatable_evict_priority_threshold", 0, 7999),
    (BURST, "cpuBurstPercent", "burst.cpu_burst_percent", 1, 10000),
    (BURST, "cfsQuotaBurstPercent", "burst.cfs_quota_burst_percent", 100, None),
    (BURST, "cfsQuotaBurstPeriodSeconds", "burst.cfs_quota_burst_period_seconds", -1, None),
    (BURST, "sharePoolThresholdPercent", "burst.share_pool_threshold_percent", 0, 100),
    (QOS, f"{BE}.cpuQOS.groupIdentity", "qos.be.cpu.group_identity", -1, 2),
    (QOS, f"{BE}.cpuQOS.schedIdle", "qos.be.cpu.sched_idle", 0, 1),
    (QOS, f"{BE}.memoryQOS.minLimitPercent", "qos.be.memory.min_limit_percent", 0, 100),
    (QOS, f"{BE}.memoryQOS.lowLimitPercent", "qos.be.memory.low_limit_percent", 0, 100),
    (QOS, f"{BE}.memoryQOS.throttlingPercent", "qos.be.memory.throttling_percent", 0, 100),
    (QOS, f"{BE}.memoryQOS.wmarkRatio", "qos.be.memory.wmark_ratio", 0, 100),
    (QOS, f"{BE}.memoryQOS.wmarkScalePermill", "qos.be.memory.wmark_scale_permill", 1, 1000),
    (QOS, f"{BE}.memoryQOS.wmarkMinAdj", "qos.be.memory.wmark_min_adj", -25, 50),
    (QOS, f"{BE}.memoryQOS.priorityEnable", "qos.be.memory.priority_enable", 0, 1),
    (QOS, f"{BE}.memoryQOS.priority", "qos.be.memory.priority", 0, 12),
    (QOS, f"{BE}.memoryQOS.oomKillGroup", "qos.be.memory.oom_kill_group", 0, 1),
    (QOS, f"{BE}.memoryQOS.pageCacheLimitPercent", "qos.be.memory.page_cache_limit_percent", 0, 100),
    (QOS, f"{BE}.resctrlQOS.catRangeStartPercent", "qos.be.resctrl.cat_range_start_percent", 0, None),
    (QOS, f"{BE}.resctrlQOS.catRangeEndPercent", "qos.be.resctrl.cat_range_end_percent", None, 100),
    (QOS, f"{BE}.resctrlQOS.mbaPercent", "qos.be.resctrl.mba_percent", 0, 100),
    (SYSTEM, "minFreeKbytesFactor", "system.min_free_kbytes_factor", 1, None),
    (SYSTEM, "watermarkScaleFactor", "system.watermark_scale_factor", 0, 400),
    (SYSTEM, "memcgReapBackGround", "system.memcg_reap_back_ground", 0, 1),
    (SYSTEM, "schedGroupIdentityEnabled", "system.sched_group_identity_enabled", 0, 1),
    (SYSTEM, "schedIdleSaverWmark", "system.sched_idle_saver_wmark", 0, None),
    (SYSTEM, "pageCacheLimitEnabled", "system.page_cache_limit_enabled", 0, 1),
    (OWN, "chainBudgetMilliseconds", "chain_budget_s", 1, 60000),
]
BOUNDS = [
    (key, path, name, bound, step)
    for key, path, name, least, most in RANGES
    for bound, step in ((least, -1), (most, 1))
    if bound is not None
]


@pytest.mark.parametrize(("key", "path", "name", "bound", "step"), BOUNDS)
def test_range_ends_at_its_bound(key, path, name, bound, step):
    policy = policy_with(key, path, bound)
    scale = 1000 if name == "chain_budget_s" else 1
    assert attribute(policy, name) * scale == bound
    with pytest.raises(PolicyError) as refused:
        policy_with(key, path, bound + step)
    [mistake] = refused.value.mistakes
    assert mistake.path == f"{key}.{path}"
    assert mistake.message.startswith("expected ")
    assert mistake.message.endswith(f", got {bound + step}")


@pytest.mark.parametrize(
    ("key", "path", "name", "choices"),
    [
        (THRESHOLD, "cpuSuppressPolicy", "threshold.cpu_suppress_policy", ["cpuset", "cfsQuota"]),
        (THRESHOLD, "cpuEvictPolicy", "threshold.cpu_evict_policy", ["evictByRealLimit", "evictByAllocatable"]),
        (BURST, "policy", "burst.policy", ["none", "auto", "cpuBurstOnly", "cfsQuotaBurstOnly"]),
        (QOS, "policies.cpuPolicy", "qos.policies.cpu_policy", ["groupIdentity", "coreSched"]),
        (QOS, "policies.netQOSPolicy", "qos.policies.net_qos_policy", ["tc", "terway-qos"]),
        (OWN, "hooks.gpu.mode", "gpu.mode", ["enforce", "observe", "off"]),
        (OWN, "hooks.gpu.failurePolicy", "gpu.failure_policy", ["ignore", "fail"]),
    ],
)
def test_choices_are_taken_as_written_and_nothing_else_is(key, path, name, choices):
    for choice in choices:
        assert attribute(policy_with(key, path, choice), name) == choice
    assert attribute(policy_with(key, path, ""), name) == choices[0]  # Go's zero value: as if absent
    with pytest.raises(PolicyError, match='got "sometimes"'):
        policy_with(key, path, "sometimes")
