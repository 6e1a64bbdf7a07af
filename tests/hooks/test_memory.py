"""Hook memory. `v61` in a test's name is row 61 of Koordinator's own vectors (koordinator.md 11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.memory import NO_MEMORY, Memory

from koordnri.model import NodeState, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.memory_pods import (
    ALL_CLASSES,
    DEFAULT,
    GI,
    MEMORY,
    MI,
    NODE,
    QOS,
    SPEC,
    batch,
    be,
    classes,
    guaranteed,
)
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(batch("2Gi", "2Gi"), 2 * GI, id="v5"),
        pytest.param(batch("2Gi"), -1, id="v7"),
        pytest.param(batch(None, "1Gi"), GI, id="v9"),
        pytest.param(batch(None, GI), GI, id="number"),
        pytest.param(batch(None, "1.5"), 2, id="rounded-up"),
        pytest.param(batch(None, "0"), -1, id="zero-is-no-limit"),
        pytest.param({}, -1, id="nothing-set"),
    ],
)
def test_batch_memory_limits_a_BE_container_and_its_pod(entry, expected):
    one = be(main=entry)
    assert values(run(Memory(), context(one))) == {"memory.limit": expected}
    assert values(run_pod(Memory(), one)) == {"memory.limit": expected}


@pytest.mark.parametrize(
    ("side", "expected"), [(batch("1Gi", "1Gi"), 3 * GI), (batch("1Gi"), -1), (batch("1Gi", 0), -1)]
)
def test_the_pods_limit_is_the_sum_or_none_at_all(side, expected):
    assert values(run_pod(Memory(), be(main=batch("1Gi", "2Gi"), side=side))) == {"memory.limit": expected}


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod("LS", annotations={SPEC: {"containers": {"main": batch("1Gi", "1Gi")}}}), id="v12-LS"),
        pytest.param(pod("BE", BESTEFFORT), id="v13-missing"),
        pytest.param(be(), id="no-containers"),
        pytest.param(be(side=batch("1Gi", "1Gi")), id="another-container"),
    ],
)
def test_without_batch_memory_the_container_keeps_its_limit(one):
    assert values(run(Memory(), context(one, Resources(memory_limit=GI)))) == {}


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        pytest.param('{"containers"', "broken JSON, line 1 column 14", id="v13-malformed"),
        pytest.param({"containers": {"main": batch(None, "1 GiB")}}, f'containers.main.limits["{MEMORY}"]', id="text"),
        pytest.param(
            {"containers": {"main": batch("-1", "1Gi")}}, f'containers.main.requests["{MEMORY}"]', id="negative"
        ),
        pytest.param({"containers": {"main": batch(None, "10E")}}, "expected 0..", id="beyond-64-bits"),
    ],
)
def test_bad_batch_memory_is_the_pods_fault_and_reported_with_its_place(annotation, problem):
    one = pod("BE", BESTEFFORT, {SPEC: annotation})
    for decision in (run(Memory(), context(one)), run_pod(Memory(), one)):
        [(fault, message)] = faults(decision)
        assert fault == "pod"
        assert SPEC in message
        assert problem in message
        assert {field.name for field in decision.undecided} == {f"memory.{n}" for n in ("limit", "min", "low", "high")}


def test_the_largest_batch_resources_are_those_that_the_kernel_counts():
    most = 2**63 - 1
    assert values(run(Memory(), context(be(main=batch(None, str(most))))))["memory.limit"] == most
    assert values(run_pod(Memory(), be(main=batch(None, most), side=batch(None, most))))["memory.limit"] == most
    [(_, message)] = faults(run(Memory(), context(be(main=batch(None, str(most + 1))))))
    assert f"expected 0..{most}" in message


def high(request, limit, percent, page=4096):
    return (request + (limit - request) * percent // 100) // page * page


@pytest.mark.parametrize(
    ("percents", "request_bytes", "limit", "expected"),
    [
        pytest.param((50, 20, 0), GI, GI, (GI // 2, GI // 2, None), id="v62-low-below-min"),
        pytest.param((20, 50, 0), GI, GI, (GI * 20 // 100, GI // 2, None), id="v62"),
        pytest.param((50, 0, 0), GI, GI, (GI // 2, None, None), id="low-not-asked-stays-unset"),
        pytest.param((0, 30, 0), 1001, GI, (None, 300, None), id="rounded-down"),
        pytest.param((0, 0, 80), 0, 1000 * MI, (None, None, high(0, 1000 * MI, 80)), id="v61"),
        pytest.param((0, 0, 80), 0, 10_000_001, (None, None, high(0, 10_000_001, 80)), id="v61-odd-limit"),
        pytest.param((0, 0, 50), GI, 3 * GI, (None, None, 2 * GI), id="halfway"),
        pytest.param((0, 0, 80), GI, None, (None, None, high(GI, 16 * GI, 80)), id="no-limit-is-the-nodes-memory"),
        pytest.param((100, 0, 1), 10_000, 10_001, (10_000, None, 10_000), id="high-not-below-min"),
        pytest.param((0, 0, 1), 0, 100, (None, None, 4096), id="high-at-least-a-page"),
        pytest.param((0, 0, 50), 2 * GI, GI, (None, None, 2 * GI), id="limit-below-request"),
        pytest.param((0, 0, 0), GI, GI, (None, None, None), id="nothing-asked"),
    ],
)
def test_percents_of_the_class_give_min_low_and_high(percents, request_bytes, limit, expected):
    decision = run(Memory(), context(be(main=batch(request_bytes, limit)), node=NODE, policy=classes(be=percents)))
    got = values(decision)
    assert tuple(got.get(f"memory.{name}") for name in ("min", "low", "high")) == expected


def test_memory_high_goes_by_the_nodes_page():
    node = NodeState(memory_bytes=16 * GI, page_bytes=65536)
    decision = run(Memory(), context(be(main=batch(0, 1_000_000)), node=node, policy=classes(be=(0, 0, 80))))
    assert values(decision)["memory.high"] == 786_432


def test_memory_high_without_any_limit_to_go_by_says_so():
    decision = run(Memory(), context(be(main=batch(0)), node=NodeState(), policy=classes(be=(0, 0, 80))))
    assert decision.skipped["memory.high"] == NO_MEMORY


@pytest.mark.parametrize(
    ("qos", "parent", "percent"),
    [
        pytest.param("LSE", GUARANTEED, 10, id="LSE-goes-by-lsrClass"),
        pytest.param("LSR", GUARANTEED, 10, id="LSR"),
        pytest.param("LS", GUARANTEED, 20, id="LS"),
        pytest.param("BE", GUARANTEED, 30, id="BE"),
        pytest.param("SYSTEM", GUARANTEED, 40, id="SYSTEM"),
        pytest.param("", GUARANTEED, 10, id="v75-Guaranteed-is-LSR"),
        pytest.param("", BURSTABLE, 20, id="v75-Burstable-is-LS"),
    ],
)
def test_the_class_is_the_labels_or_kubernetes(qos, parent, percent):
    one = pod(qos, parent, spec=PodSpec({"main": ContainerSpec({"memory": "1000"}, {})}))
    assert values(run(Memory(), context(one, policy=ALL_CLASSES)))["memory.min"] == percent * 10


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(be(a=batch(1000, 1000), b=batch(500, 500)), (450, 450), id="BE"),
        pytest.param(
            pod(
                "BE", spec=PodSpec({"a": ContainerSpec({"memory": 1000}, {}), "b": ContainerSpec({}, {"memory": 1000})})
            ),
            (600, 600),
            id="spec",
        ),
        pytest.param(
            pod(
                "BE",
                annotations={SPEC: {"containers": {"a": batch(1000)}}},
                spec=PodSpec({"b": ContainerSpec({"memory": 500}, {})}),
            ),
            (450, 450),
            id="batch-and-plain-containers",
        ),
        pytest.param(guaranteed("BE", 1000), (300, 300), id="Guaranteed"),
        pytest.param(pod("BE", BESTEFFORT), (None, None), id="BestEffort"),
    ],
)
def test_the_pod_is_protected_by_the_sum_and_never_throttled(one, expected):
    got = values(run_pod(Memory(), one, NODE, classes(be=(30, 20, 50))))
    assert (got.get("memory.min"), got.get("memory.low")) == expected
    assert "memory.high" not in got


@pytest.mark.parametrize(
    ("policy", "annotation", "expected"),
    [
        pytest.param(classes(lsr=(50, 0, 0)), {"policy": "none"}, {}, id="v63-none"),
        pytest.param(
            classes(lsr=(50, 0, 0)), {"policy": "none", "minLimitPercent": 10}, {}, id="none-ignores-the-rest"
        ),
        pytest.param(
            DEFAULT, {"policy": "auto", "throttlingPercent": 90}, {"memory.high": GI}, id="v63-auto-on-a-disabled-class"
        ),
        pytest.param(
            classes(lsr=(50, 0, 0)),
            {"policy": "auto", "lowLimitPercent": 10},
            {"memory.low": GI * 10 // 100},
            id="auto",
        ),
        pytest.param(
            classes(lsr=(50, 0, 0)),
            {"lowLimitPercent": 80},
            {"memory.min": GI // 2, "memory.low": GI * 80 // 100},
            id="default-over-the-class",
        ),
        pytest.param(DEFAULT, {"minLimitPercent": 50}, {"memory.min": GI // 2}, id="default-on-a-disabled-class"),
        pytest.param(DEFAULT, {}, {}, id="empty"),
    ],
)
def test_the_pods_annotation_goes_over_its_class(policy, annotation, expected):
    one = guaranteed(**{QOS: annotation})
    assert values(run(Memory(), context(one, Resources(memory_limit=GI), NODE, policy))) == expected


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ("{", "broken JSON, line 1 column 2"),
        ({"minLimitPercent": 250}, "minLimitPercent: expected 0..100, got 250"),
        ({"policy": "sometimes"}, "policy: expected default, none or auto"),
    ],
)
def test_a_bad_memoryQOS_leaves_the_values_of_the_class(annotation, problem):
    one = be({QOS: annotation}, main=batch("1Gi", "2Gi"))
    policy = classes(be=(50, 0, 50))
    decision = run(Memory(), context(one, policy=policy))
    assert values(decision) == {"memory.limit": 2 * GI, "memory.min": GI // 2, "memory.high": 3 * GI // 2}
    assert values(run_pod(Memory(), one, policy=policy)) == {"memory.limit": 2 * GI, "memory.min": GI // 2}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {QOS}: ")
    assert problem in message
    assert values(run_pod(Memory(), one)) == {"memory.limit": 2 * GI}


KUBELETS = Resources(memory_limit=GI, unified={"memory.min": "1000", "memory.high": "5000", "io.max": "8:0 rbps=1"})


@pytest.mark.parametrize(
    ("policy", "annotations", "expected"),
    [
        pytest.param(DEFAULT, {}, {}, id="disabled-class-has-no-say"),
        pytest.param(classes(lsr=(0, 0, 0)), {}, {"memory.min": 0, "memory.high": -1}, id="enabled-class-of-0"),
        pytest.param(DEFAULT, {QOS: {"policy": "none"}}, {"memory.min": 0, "memory.high": -1}, id="none"),
        pytest.param(
            classes(lsr=(50, 0, 0)), {}, {"memory.min": GI // 2, "memory.high": -1}, id="only-what-is-not-asked-for"
        ),
    ],
)
def test_what_kubelet_set_by_itself_is_taken_back_when_memoryQOS_asks_for_none(policy, annotations, expected):
    assert values(run(Memory(), context(guaranteed(**annotations), KUBELETS, NODE, policy))) == expected


def test_v1_of_mainline_takes_the_limit_and_says_once_what_it_lacks():
    node = NodeState(cgroup_version=1, memory_bytes=16 * GI)
    decision = run(Memory(), context(be(main=batch("1Gi", "1Gi")), node=node, policy=classes(be=(10, 10, 10))))
    assert values(decision) == {"memory.limit": GI}
    # One of the files that Alibaba's kernels have together stands for all.
    missing = ("memory.min", "memory.low", "memory.high", "memory.wmark_ratio")
    assert decision.skipped == {f: f"cgroup v1 has no {f}" for f in missing}


percent = st.integers(0, 100)
amount = st.none() | st.integers(0, 1 << 40)


@given(
    percents=st.tuples(percent, percent, percent), request_bytes=amount, limit=amount, memory=st.integers(0, 1 << 40)
)
def test_min_low_and_high_are_in_order_and_deciding_again_changes_nothing(percents, request_bytes, limit, memory):
    one, node = be(main=batch(request_bytes, limit)), NodeState(memory_bytes=memory)
    policy = classes(be=percents)
    first, again = (run(Memory(), context(one, node=node, policy=policy)) for _ in range(2))
    assert (first.settings, first.skipped) == (again.settings, again.skipped)
    got = values(first)
    least, low, throttled = (got.get(f"memory.{name}") for name in ("min", "low", "high"))
    assert least is None or 0 < least <= request_bytes
    assert low is None or low >= (least or 0)
    assert throttled is None or throttled >= max(least or 0, 4096)
