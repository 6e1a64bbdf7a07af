"""Hook memory, the files of Alibaba's kernels, and memory.oom.group."""

import pytest
from koordnri_hooks.alibaba_memory import NO_POD_LIMIT
from koordnri_hooks.memory import Memory

from koordnri.model import NodeState, Resources, fields
from koordnri.model.node import MAINLINE_V2_FILES
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

QOS = "koordinator.sh/memoryQOS"
MI = 1 << 20
VENDORS = [f for f in Memory.owns if f.neutral is not None]
V1 = NodeState(
    cgroup_version=1, cgroup_files=frozenset(f.v1 for f in (*VENDORS, fields.MEMORY_OOM_GROUP, fields.MEMORY_MIN))
)
V2 = NodeState(cgroup_files=MAINLINE_V2_FILES | {f.v2[0] for f in VENDORS})
BOTH = pytest.mark.parametrize("node", [V1, V2], ids=["v1", "v2"])


def lsr_memory(**memory):
    return policy_of(resource_qos_config={"clusterStrategy": {"lsrClass": {"memoryQOS": {"enable": True, **memory}}}})


def plain(annotation=None, **resources):
    return pod("LSR", GUARANTEED, {} if annotation is None else {QOS: annotation}, resources=Resources(**resources))


DEFAULTS = {"memory.wmark_ratio": 95, "memory.wmark_scale_factor": 20, "memory.wmark_min_adj": -25}


@BOTH
@pytest.mark.parametrize(
    ("asked", "annotation", "expected"),
    [
        pytest.param({}, None, DEFAULTS, id="class-defaults"),
        pytest.param({"wmarkRatio": 0, "wmarkScalePermill": 50, "wmarkMinAdj": 0}, None, {}, id="the-kernels-own-values"),
        pytest.param({}, {"policy": "none"}, {}, id="v63-none"),
        pytest.param({"wmarkRatio": 80}, {"policy": "auto", "wmarkMinAdj": 10}, DEFAULTS | {"memory.wmark_min_adj": 10}, id="v63-auto"),
        pytest.param({}, {"wmarkRatio": 70}, DEFAULTS | {"memory.wmark_ratio": 70}, id="default-over-the-class"),
        pytest.param(
            {"priorityEnable": 1, "priority": 7},
            None,
            DEFAULTS | {"memory.priority": 7, "memory.use_priority_oom": 1},
            id="priority",
        ),
    ],
)  # fmt: skip
def test_watermarks_and_priority_are_set_on_containers_and_pods(node, asked, annotation, expected):
    one = plain(annotation)
    assert values(run(Memory(), context(one, node=node, policy=lsr_memory(**asked)))) == expected
    assert values(run_pod(Memory(), one, node, lsr_memory(**asked))) == expected


def test_a_disabled_class_leaves_every_file_alone():
    assert values(run(Memory(), context(plain(), node=V2))) == {}
    assert values(run_pod(Memory(), plain(), V2)) == {}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, None, id="enabling-the-class-does-not-take-kubelets-1-back"),
        pytest.param({"oomKillGroup": 1}, 1, id="asked"),
        pytest.param({"oomKillGroup": 0}, 0, id="explicitly-not"),
    ],
)
@BOTH
def test_oom_group_is_set_only_where_it_is_asked_for(node, asked, expected):
    kubelets = Resources(unified={"memory.oom.group": "1"})
    for decision in (
        run(Memory(), context(plain(), kubelets, node, lsr_memory(**asked))),
        run(Memory(), context(plain(asked or {"wmarkRatio": 5}), kubelets, node)),
        run_pod(Memory(), plain(), node, lsr_memory(**asked)),
    ):
        assert decision.value(fields.MEMORY_OOM_GROUP) == expected


@pytest.mark.parametrize(
    ("asked", "limit", "expected"),
    [
        pytest.param({}, 64 * MI, {}, id="nothing-set"),
        pytest.param({"pageCacheLimitSize": "16Mi"}, 64 * MI, {"size": 16 * MI, "enable": 1}, id="size"),
        pytest.param({"pageCacheLimitSize": "99Mi"}, 64 * MI, {"size": 64 * MI, "enable": 1}, id="at-most-the-limit"),
        pytest.param({"pageCacheLimitSize": "99Mi"}, None, {"size": 99 * MI, "enable": 1}, id="no-limit"),
        pytest.param({"pageCacheLimitPercent": 25}, 64 * MI, {"size": 16 * MI, "enable": 1}, id="percent"),
        pytest.param(
            {"pageCacheLimitSize": "8Mi", "pageCacheLimitPercent": 25}, 64 * MI, {"size": 8 * MI, "enable": 1}, id="both"
        ),
        pytest.param({"pageCacheLimitSize": 0}, 64 * MI, {}, id="zero"),
        pytest.param(
            {"pageCacheLimitSize": "1Mi", "pageCacheReclaimSync": True}, None, {"size": MI, "sync": 1, "enable": 1}, id="sync"
        ),
        pytest.param({"pageCacheLimitSize": "1Mi", "pageCacheEnable": False}, None, {}, id="explicitly-off"),
        pytest.param({"pageCacheEnable": True}, None, {"enable": 1}, id="explicitly-on"),
    ],
)  # fmt: skip
def test_the_page_cache_of_a_pod_is_limited(asked, limit, expected):
    one = plain({"wmarkRatio": 0, **asked}, memory_limit=limit)
    decision = run_pod(Memory(), one, V2)
    assert values(decision) == {f"memory.pagecache_limit.{name}": value for name, value in expected.items()}
    # Its containers share it.
    assert values(run(Memory(), context(one, node=V2))) == {}
    if "size" in expected:
        assert list(values(decision))[-1] == "memory.pagecache_limit.enable"


def test_a_batch_pods_page_cache_goes_by_its_batch_limit():
    spec = {"containers": {"a": {"limits": {"kubernetes.io/batch-memory": "64Mi"}}}}
    one = pod(
        "BE", BESTEFFORT, {"node.koordinator.sh/extended-resource-spec": spec, QOS: {"pageCacheLimitPercent": 50}}
    )
    assert values(run_pod(Memory(), one, V2))["memory.pagecache_limit.size"] == 32 * MI


def test_a_percent_of_no_limit_is_reported():
    decision = run_pod(Memory(), plain({"pageCacheLimitPercent": 50}), V2)
    assert values(decision) == {}
    assert decision.skipped == {"memory.pagecache_limit.size": NO_POD_LIMIT}


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_kernel_has_not_is_reported_once_and_is_no_error(version):
    node = NodeState(cgroup_version=version, cgroup_files=MAINLINE_V2_FILES if version == 2 else frozenset())
    asked = lsr_memory(
        oomKillGroup=1, priorityEnable=1, priority=3, pageCacheLimitSize="1Mi", pageCacheReclaimSync=True, wmarkRatio=90
    )
    on_v1 = {"memory.oom.group"} if version == 1 else set()
    one = plain(memory_limit=MI)
    for decision, names in (
        (run(Memory(), context(one, node=node, policy=asked)), {"wmark_ratio", "priority"}),
        (run_pod(Memory(), one, node, asked), {"wmark_ratio", "priority", "pagecache_limit.size"}),
    ):
        assert set(decision.skipped) == {f"memory.{name}" for name in names} | on_v1
        assert decision.errors == ()


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ({"oomKillGroup": 2}, "oomKillGroup: expected 0..1, got 2"),
        ({"priority": 13}, "priority: expected 0..12, got 13"),
        ({"wmarkMinAdj": -26}, "wmarkMinAdj: expected -25..50, got -26"),
        ({"wmarkScalePermill": 0}, "wmarkScalePermill: expected 1..1000, got 0"),
        ({"pageCacheLimitSize": -1}, "pageCacheLimitSize"),
        ({"pageCacheLimitSize": "lots"}, "pageCacheLimitSize"),
        ({"pageCacheEnable": "yes"}, "pageCacheEnable"),
        ([], "expected"),
        ("x" * 300_000, "expected at most 16384 characters"),
        ('{"wmarkRatio": ' + "9" * 5000 + "}", "wmarkRatio"),
        ("[" * 100_000, "memoryQOS"),
    ],
)
def test_a_bad_annotation_costs_all_that_it_says_and_names_the_key(annotation, problem):
    one, without = plain(annotation), plain(None)
    for decision, other in (
        (
            run(Memory(), context(one, node=V2, policy=lsr_memory())),
            run(Memory(), context(without, node=V2, policy=lsr_memory())),
        ),
        (run_pod(Memory(), one, V2, lsr_memory()), run_pod(Memory(), without, V2, lsr_memory())),
    ):
        assert values(decision) == values(other)
        [(fault, message)] = faults(decision)
        assert fault == "pod"
        assert message.startswith(f"annotation {QOS}: ")
        assert problem in message
        assert len(message) < 500


@pytest.mark.parametrize("size", ["8E", "9223372036854775808", 1e30])
def test_a_size_beyond_the_kernels_numbers_is_refused_or_cut(size):
    decision = run_pod(Memory(), plain({"pageCacheLimitSize": size}), V2)
    assert decision.errors or values(decision)["memory.pagecache_limit.size"] <= 2**63 - 1
