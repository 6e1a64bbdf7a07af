"""Sysctls of the node by `system-config`."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.memory import Memory

from koordnri.hook import Hook, RootContext
from koordnri.model import NodeState, fields
from koordnri.model.decision import Decision
from tests.hooks.one_hook import values
from tests.support.policies import policy_of

GIB = 1 << 30
HOST = frozenset(f.v1 for f in fields.ALL if f.right == "sysctls")


def decided(
    hook: Hook, memory: int = 64 * GIB, files: frozenset[str] = HOST, known: set[str] | None = None, **system: Any
) -> Decision:
    features = None if known is None else frozenset(known)
    node = NodeState(memory_bytes=memory, root_files=files, sched_features=features)
    ctx = RootContext(policy_of(system_config={"clusterStrategy": system}), node, node.root_routes)
    ctx.hook, ctx.owns = hook.name, frozenset(hook.owns)
    hook.decide_root(ctx)
    return ctx.made()


def test_v65_the_kernels_reserve_is_a_share_of_the_nodes_memory() -> None:
    assert values(decided(Memory(), 512 * GIB, minFreeKbytesFactor=88)) == {"vm.min_free_kbytes": 4_724_464}


@pytest.mark.parametrize(("memory", "factor"), [(GIB, 50), (4096 * GIB, 500), (0, 100)])
def test_a_reserve_out_of_range_or_of_unknown_memory_is_not_set(memory: int, factor: int) -> None:
    decision = decided(Memory(), memory, minFreeKbytesFactor=factor)
    assert values(decision) == {}
    assert decision.skipped["vm.min_free_kbytes"].startswith("minFreeKbytesFactor")


@pytest.mark.parametrize(("scale", "expected"), [(150, {"vm.watermark_scale_factor": 150}), (9, {}), (0, {})])
def test_the_watermark_scale_factor_counts_from_10_on(scale: int, expected: dict[str, int]) -> None:
    assert values(decided(Memory(), watermarkScaleFactor=scale)) == expected


def test_what_only_anolis_kernels_have() -> None:
    asked = {"memcgReapBackGround": 1, "schedGroupIdentityEnabled": 0, "schedIdleSaverWmark": 500}
    assert values(decided(Memory(), **asked)) == {"reap_background": 1}
    expected = {"kernel.sched_group_identity_enabled": 0, "kernel.sched_idle_saver_wmark": 500}
    assert values(decided(CFSQuota(), **asked)) == expected


def test_without_the_right_or_the_file_it_is_skipped_with_the_option_that_it_takes() -> None:
    decision = decided(Memory(), files=frozenset(), watermarkScaleFactor=150)
    assert values(decision) == {}
    assert decision.skipped["vm.watermark_scale_factor"].endswith("or koordnri may not write it: --write sysctls")


def test_a_key_that_is_not_written_leaves_its_sysctl_alone() -> None:
    assert (values(decided(Memory())), values(decided(CFSQuota()))) == ({}, {})


def test_scheduler_features_are_set_by_name_and_those_that_the_kernel_lacks_are_skipped() -> None:
    features = {"NEXT_BUDDY": True, "WAKEUP_PREEMPTION": False, "NEW": True}
    assert values(decided(CFSQuota(), known={"NEXT_BUDDY", "WAKEUP_PREEMPTION"}, schedFeatures=features)) == {
        "sched.feature[NEXT_BUDDY]": 1,
        "sched.feature[WAKEUP_PREEMPTION]": 0,
    }
    decision = decided(CFSQuota(), known={"NEXT_BUDDY"}, schedFeatures={"NEW": True})
    assert decision.skipped["sched.feature[NEW]"] == "schedFeatures: this kernel's scheduler has no such feature"


def test_the_page_cache_limit_is_switched_where_the_kernel_has_it() -> None:
    assert values(decided(Memory(), pageCacheLimitEnabled=1)) == {"pagecache_limit.enabled": 1}
    decision = decided(Memory(), files=frozenset(), pageCacheLimitEnabled=1)
    assert "/sys/kernel/mm/pagecache_limit/enabled" in decision.skipped["pagecache_limit.enabled"]
