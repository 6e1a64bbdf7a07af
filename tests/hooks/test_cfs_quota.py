"""Hook cfs_quota. `v14` in a test's name is row 14 of Koordinator's own vectors (koordinator.md 11)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.model import CPUSet, NodeState, Resources
from koordnri.model.topology import Topology
from tests.hooks.batch_pods import SPEC, batch, be
from tests.hooks.one_hook import context, run, run_pod, values
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of

STATUS = "scheduling.koordinator.sh/resource-status"
KEEP_QUOTA = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": True}}})
NO_CPUSET_HOOK = policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "off"}}})
OBSERVED_CPUSET_HOOK = policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "observe"}}})
SUPPRESS_BY_QUOTA = policy_of(
    resource_threshold_config={"clusterStrategy": {"enable": True, "cpuSuppressPolicy": "cfsQuota"}}
)
"""Koordlet lifts the quotas then, as it suppresses BE by the quota of their class instead. We do not suppress, so they stay."""
DEFAULT = policy_of()


def faster(ratio):
    return NodeState(normalization_ratio=Fraction(ratio))


@pytest.mark.parametrize(
    ("entry", "policy", "node", "baseline", "expected"),
    [
        pytest.param(batch("500", "500"), DEFAULT, NodeState(), Resources(2), (512, 50_000), id="v5"),
        pytest.param(batch("500"), DEFAULT, NodeState(), Resources(2), (512, -1), id="v7"),
        pytest.param(batch(None, "500"), DEFAULT, NodeState(), Resources(2), (2, 50_000), id="v9"),
        pytest.param(batch("500", "500"), SUPPRESS_BY_QUOTA, NodeState(), Resources(2), (512, 50_000), id="v10"),
        pytest.param(batch(500, 500), DEFAULT, NodeState(), Resources(2), (512, 50_000), id="numbers"),
        pytest.param(batch("1k", "1k"), DEFAULT, NodeState(), Resources(2), (1024, 100_000), id="suffix"),
        pytest.param(batch("0", "0"), DEFAULT, NodeState(), Resources(2), (2, -1), id="zero-is-no-limit"),
        pytest.param(batch("1", "5"), DEFAULT, NodeState(), Resources(2), (2, 1000), id="kernel-minimum"),
        pytest.param({}, DEFAULT, NodeState(), Resources(2), (2, -1), id="nothing-set"),
        pytest.param(batch("500", "500"), DEFAULT, faster("1.2"), Resources(2), (512, 41_667), id="normalised"),
        pytest.param(
            batch("500", "5"), DEFAULT, faster("1.2"), Resources(2), (512, 1000), id="normalised-to-the-minimum"
        ),
        pytest.param(batch("500", "500"), DEFAULT, faster("0.5"), Resources(2), (512, 50_000), id="ratio-below-1"),
        pytest.param(
            batch("500", "500"),
            DEFAULT,
            NodeState(),
            Resources(2, None, 20_000),
            (512, 10_000),
            id="kubelet-period-20ms",
        ),
    ],
)
def test_batch_cpu_gives_a_BE_container_its_shares_and_quota(entry, policy, node, baseline, expected):
    decision = run(CFSQuota(), context(be(main=entry), baseline, node, policy))
    assert values(decision) == dict(zip(("cpu.shares", "cpu.quota"), expected, strict=True))


@pytest.mark.parametrize(
    ("containers", "policy", "node", "expected"),
    [
        pytest.param({"main": batch("500", "500")}, DEFAULT, NodeState(), (512, 50_000), id="v5"),
        pytest.param({"main": batch("500")}, DEFAULT, NodeState(), (512, -1), id="v7"),
        pytest.param({"main": batch("500", "500")}, SUPPRESS_BY_QUOTA, NodeState(), (512, 50_000), id="v10"),
        pytest.param(
            {"main": batch("500", "500"), "side": batch("250", "1000")}, DEFAULT, NodeState(), (768, 150_000), id="sum"
        ),
        pytest.param(
            {"main": batch("500", "500"), "side": batch("250", "0")},
            DEFAULT,
            NodeState(),
            (768, -1),
            id="one-unlimited",
        ),
        pytest.param({"main": batch("500", "500")}, DEFAULT, faster(2), (512, 25_000), id="normalised"),
        pytest.param(
            {"a": batch("4", "4"), "b": batch("4", "4")}, DEFAULT, NodeState(), (8, 2000), id="kernel-minimum"
        ),
        pytest.param(
            {"a": batch("25", "25"), "b": batch("25", "25")},
            DEFAULT,
            faster(5),
            (51, 2000),
            id="normalised-to-the-minimum",
        ),
    ],
)
def test_batch_cpu_of_all_containers_gives_the_pods_shares_and_quota(containers, policy, node, expected):
    decision = run_pod(CFSQuota(), be(**containers), node, policy)
    assert values(decision) == dict(zip(("cpu.shares", "cpu.quota"), expected, strict=True))


def test_a_batch_pod_has_the_period_of_its_containers():
    """kubelet gives its containers its period, but not the pod, which has no limit for kubelet."""
    one = pod(
        "BE", BESTEFFORT, {SPEC: {"containers": {"main": batch("500", "500")}}}, resources=Resources(2, None, 20_000)
    )
    wanted = {"cpu.shares": 512, "cpu.quota": 10_000}
    assert values(run_pod(CFSQuota(), one)) == {**wanted, "cpu.period": 20_000}
    assert values(run(CFSQuota(), context(one, Resources(2, None, 20_000)))) == wanted


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(pod("LS", annotations={SPEC: {"containers": {"main": batch("500", "500")}}}), id="v12-LS"),
        pytest.param(pod("", BESTEFFORT, {SPEC: {"containers": {"main": batch("500")}}}), id="v12-unlabelled"),
        pytest.param(pod("BE", BESTEFFORT), id="v13-missing"),
        pytest.param(pod("BE", BESTEFFORT, {SPEC: "{}"}), id="empty"),
        pytest.param(be(), id="no-containers"),
    ],
)
def test_without_batch_resources_nothing_changes(one):
    assert values(run(CFSQuota(), context(one, Resources(2, 50_000)))) == {}
    assert values(run_pod(CFSQuota(), one)) == {}


@pytest.mark.parametrize(
    ("qos", "quota", "ratio", "expected"),
    [
        pytest.param("LS", 100_000, "1.2", 83_334, id="v14"),
        pytest.param("", 100_000, "1.2", 83_334, id="v14-unlabelled"),
        pytest.param("LS", 100_000, "1", None, id="v15-ratio-1"),
        pytest.param("LS", 100_000, "0", None, id="v15-ratio-0"),
        pytest.param("LS", 100_000, None, None, id="v15-disabled"),
        pytest.param("LS", -1, "1.2", None, id="v16"),
        pytest.param("LS", 0, "1.2", None, id="no-quota"),
        pytest.param("LS", None, "1.2", None, id="not-asked"),
        pytest.param("LS", 1100, "5", 1000, id="kernel-minimum"),
        pytest.param("LSR", 100_000, "1.2", None, id="LSR"),
        pytest.param("SYSTEM", 100_000, "1.2", None, id="SYSTEM"),
    ],
)
def test_normalisation_scales_the_quota_of_LS_and_unlabelled(qos, quota, ratio, expected):
    node = NodeState(normalization_ratio=None if ratio is None else Fraction(ratio))
    wanted = {} if expected is None else {"cpu.quota": expected}
    assert values(run(CFSQuota(), context(pod(qos), Resources(cpu_quota=quota), node))) == wanted
    assert values(run_pod(CFSQuota(), pod(qos, resources=Resources(cpu_quota=quota)), node)) == wanted


def test_on_v1_a_pod_keeps_kubelets_quota_and_says_why():
    one = pod("LS", resources=Resources(cpu_quota=100_000))
    decision = run_pod(CFSQuota(), one, NodeState(cgroup_version=1, normalization_ratio=Fraction("1.2")))
    assert values(decision) == {}
    assert decision.skipped["cpu.quota"].startswith("on cgroup v1 the pod keeps kubelet's quota")
    assert run_pod(CFSQuota(), one, NodeState(cgroup_version=1)).skipped == {}, "nobody normalises"


@pytest.mark.parametrize("qos", ["LSE", "LSR", "LS", "", "SYSTEM"])
def test_v17_a_pinned_container_and_its_pod_lose_their_quota(qos):
    one = pod(qos, GUARANTEED, {STATUS: {"cpuset": " 2-4 "}}, resources=Resources(cpu_quota=300_000))
    ctx = context(one, Resources(3072, 300_000), faster("1.2"))
    assert values(run(CFSQuota(), ctx, before=[CPUSetHook()])) == {"cpu.cpus": "2-4", "cpu.quota": -1}
    assert values(run_pod(CFSQuota(), one, faster("1.2"))) == {"cpu.quota": -1}


def test_v17_a_pinned_BE_container_keeps_its_batch_shares():
    one = pod("BE", BESTEFFORT, {STATUS: {"cpuset": "2-4"}, SPEC: {"containers": {"main": batch("500", "500")}}})
    wanted = {"cpu.shares": 512, "cpu.quota": -1}
    assert values(run(CFSQuota(), context(one), before=[CPUSetHook()])) == {"cpu.cpus": "2-4", **wanted}
    assert values(run_pod(CFSQuota(), one)) == wanted


@pytest.mark.parametrize("qos", ["LSR", "LS", ""])
def test_v18_keep_quota_leaves_pinned_ones_as_kubelet_asked(qos):
    one = pod(qos, GUARANTEED, {STATUS: {"cpuset": "2-4"}}, resources=Resources(cpu_quota=300_000))
    ctx = context(one, Resources(3072, 300_000), faster("1.2"), KEEP_QUOTA)
    assert values(run(CFSQuota(), ctx, before=[CPUSetHook()])) == {"cpu.cpus": "2-4"}
    assert values(run_pod(CFSQuota(), one, faster("1.2"), KEEP_QUOTA)) == {}


def test_quota_stays_when_the_cpus_were_not_given():
    one = pod("LSR", GUARANTEED, {STATUS: {"cpuset": "2-4"}})
    assert values(run(CFSQuota(), context(one, Resources(3072, 300_000)))) == {}
    for policy in (NO_CPUSET_HOOK, OBSERVED_CPUSET_HOOK):
        assert values(run_pod(CFSQuota(), one, policy=policy)) == {}


def test_cpus_that_this_node_gave_lift_the_pods_quota_and_the_containers():
    one = pod("LSR", GUARANTEED, resources=Resources(cpu_quota=200_000))
    node = NodeState(exclusive_cpus={one.key: {"main": CPUSet([2, 3])}})
    made = values(run(CFSQuota(), context(one, Resources(2048, 200_000), node), before=[CPUSetHook()]))
    assert made == {"cpu.cpus": "2-3", "cpu.quota": -1}
    assert values(run_pod(CFSQuota(), one, node)) == {"cpu.quota": -1}


@pytest.mark.parametrize("cpuset", ["2-", "100-101", ""])
def test_a_cpuset_that_cannot_be_used_unsets_no_quota_of_the_pod(cpuset):
    one = pod("LSR", GUARANTEED, {STATUS: {"cpuset": cpuset}})
    node = NodeState(topology=Topology.regular(1, 1, 4, 2))
    assert values(run_pod(CFSQuota(), one, node)) == {}


milli = st.none() | st.integers(0, 64_000)


@given(
    entries=st.lists(st.tuples(milli, milli), min_size=1, max_size=4),
    ratio=st.none() | st.fractions(Fraction(1, 2), Fraction(5)),
)
def test_no_BE_container_is_given_more_than_its_pod(entries, ratio):
    """v1 refuses a child above its parent."""
    one = be(**{f"c{i}": batch(*entry) for i, entry in enumerate(entries)})
    node = NodeState(normalization_ratio=ratio)
    pod_quota = values(run_pod(CFSQuota(), one, node))["cpu.quota"]
    for i in range(len(entries)):
        quota = values(run(CFSQuota(), context(one, node=node, name=f"c{i}")))["cpu.quota"]
        assert quota == -1 or quota >= 1000
        assert pod_quota == -1 or 0 < quota <= pod_quota


@given(
    qos=st.sampled_from(["", "LSR", "LS", "BE"]),
    quota=st.none() | st.integers(1000, 10**7),
    entry=st.tuples(milli, milli),
    cpuset=st.sampled_from(["", "0-1"]),
    ratio=st.fractions(Fraction(1, 2), Fraction(5)),
)
def test_deciding_again_from_the_same_baseline_gives_the_same(qos, quota, entry, cpuset, ratio):
    one = pod(qos, annotations={SPEC: {"containers": {"main": batch(*entry)}}, STATUS: {"cpuset": cpuset}})
    node, baseline = NodeState(normalization_ratio=ratio), Resources(cpu_quota=quota)
    first, again = (run(CFSQuota(), context(one, baseline, node), before=[CPUSetHook()]) for _ in range(2))
    assert (first.settings, first.skipped) == (again.settings, again.skipped)
