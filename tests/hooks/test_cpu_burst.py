"""cpu.burst of hook cfs_quota. `v39` in a test's name is row 39 of Koordinator's own vectors (koordinator.md 11)."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.model import NodeState, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

KEY = "koordinator.sh/cpuBurst"
STATUS = "scheduling.koordinator.sh/resource-status"
BATCH = "node.koordinator.sh/extended-resource-spec"
V1 = NodeState(cgroup_version=1, cgroup_files=frozenset({"cpu/cpu.cfs_burst_us"}))
ANOLIS = NodeState(cgroup_version=1, cgroup_files=frozenset({"cpu/cpu.cfs_burst_us", "cpu/cpu.bvt_warp_ns"}))
V2 = NodeState()
OLD_V1 = NodeState(cgroup_version=1, cgroup_files=frozenset())
OLD_V2 = NodeState(cgroup_files=frozenset({"cpu.max", "cpu.weight"}))
MAINLINE = [pytest.param(V1, id="v1"), pytest.param(V2, id="v2")]


def burst_policy(policy="auto", percent=None, **more):
    strategy = {"policy": policy} | ({} if percent is None else {"cpuBurstPercent": percent})
    return policy_of(cpu_burst_config={"clusterStrategy": strategy}, **more)


AUTO = burst_policy()
HALF = burst_policy(percent=50)
NONE = policy_of()


def asked(cores, period=None):
    return Resources(1024, int(cores * (period or 100_000)), period)


def spec(**limits):
    return PodSpec({name: ContainerSpec({}, {} if cpu is None else {"cpu": cpu}) for name, cpu in limits.items()})


def burst(one, baseline, node=V1, policy=AUTO, **more):
    return values(run(CFSQuota(), context(one, baseline, node, policy, **more))).get("cpu.burst")


def pod_burst(one, node=V1, policy=AUTO):
    return values(run_pod(CFSQuota(), one, node, policy)).get("cpu.burst")


@pytest.mark.parametrize(
    ("cores", "policy", "anolis", "mainline"),
    [
        pytest.param(5, AUTO, 5_000_000, 500_000, id="v39"),
        pytest.param(3, AUTO, 3_000_000, 300_000, id="v39-other"),
        pytest.param(5, burst_policy("cpuBurstOnly", 500), 2_500_000, 500_000, id="v40-500-percent"),
        pytest.param(5, burst_policy("cfsQuotaBurstOnly"), None, None, id="v40-cfsQuotaBurstOnly"),
        pytest.param(5, burst_policy("none"), None, None, id="v40-none"),
        pytest.param(-0.00001, AUTO, None, None, id="v40-no-limit"),
        pytest.param(0, AUTO, None, None, id="v40-no-limit-asked"),
        pytest.param(0.5, HALF, 25_000, 25_000, id="below-the-quota"),
        pytest.param(0.01234, HALF, 617, 617, id="rounded-down"),
    ],
)
@pytest.mark.parametrize("mainline_node", MAINLINE)
def test_a_container_bursts_by_a_percentage_of_its_limit_as_far_as_the_kernel_goes(
    cores, policy, anolis, mainline, mainline_node
):
    """Nothing set is 0, which is what the kernel has when nobody sets it."""
    assert burst(pod("LS"), asked(cores), ANOLIS, policy) == anolis
    assert burst(pod("LS"), asked(cores), mainline_node, policy) == mainline


def test_v39_a_pod_bursts_by_what_its_containers_do_together():
    one = pod("LS", resources=Resources(8192, 800_000), spec=spec(a="5", b=3))
    assert pod_burst(one, ANOLIS) == 8_000_000
    assert pod_burst(one, V1) == pod_burst(one, V2) == 800_000
    assert pod_burst(one, V2, HALF) == 400_000


def test_a_container_without_limit_adds_nothing_to_a_pod_that_has_one_of_its_own():
    one = pod("LS", resources=asked(5), spec=spec(a="5", b=None))
    assert pod_burst(one, ANOLIS) == 5_000_000
    assert pod_burst(one, V2) == 500_000


def test_v40_a_pod_without_limit_has_no_burst():
    one = pod("LS", resources=Resources(8192, -1), spec=spec(a="5", b=None))
    decision = run_pod(CFSQuota(), one, V1, AUTO)
    assert "cpu.burst" not in decision.settings
    assert "no CPU limit" in decision.skipped["cpu.burst"]


def test_a_pod_whose_spec_is_not_read_goes_by_what_was_asked_for_its_containers():
    one = pod("LS", resources=asked(8))
    below = {"a": asked(5), "b": asked(3)}
    assert values(run_pod(CFSQuota(), one, ANOLIS, AUTO, below))["cpu.burst"] == 8_000_000
    assert values(run_pod(CFSQuota(), one, V2, AUTO, below))["cpu.burst"] == 800_000
    # Both were shrunk in place, and kubelet is about to shrink the pod.
    assert values(run_pod(CFSQuota(), one, V2, AUTO, {"a": asked(1), "b": asked(1)}))["cpu.burst"] == 200_000


def test_init_containers_that_end_before_the_others_are_not_counted():
    containers = {"main": ContainerSpec({}, {"cpu": "1"}), "setup": ContainerSpec({}, {"cpu": "1"}, init=True)}
    one = pod("LS", resources=asked(2), spec=PodSpec(containers))
    assert pod_burst(one, V2) == 100_000
    assert pod_burst(one, ANOLIS) == 1_000_000


def test_a_pod_of_which_no_containers_are_known_says_why_it_has_no_burst():
    decision = run_pod(CFSQuota(), pod("LS", resources=Resources(8192, 800_000)), V1, AUTO)
    assert "cpu.burst" not in decision.settings
    assert "no limits of such are known" in decision.skipped["cpu.burst"]


@pytest.mark.parametrize(
    ("qos", "bursts"), [("LS", True), ("SYSTEM", True), ("", True), ("LSR", False), ("LSE", False)]
)
@pytest.mark.parametrize("annotations", [{}, {KEY: {"policy": "auto"}}])
def test_only_pods_that_share_CPUs_burst(qos, bursts, annotations):
    one = pod(qos, GUARANTEED, annotations, resources=asked(1), spec=spec(main="1"))
    assert burst(one, asked(1)) == (100_000 if bursts else None)
    assert pod_burst(one) == (100_000 if bursts else None)


def test_batch_pods_do_not_burst():
    limit = {"kubernetes.io/batch-cpu": "500"}
    one = pod(
        "BE",
        BESTEFFORT,
        {KEY: {"policy": "auto"}, BATCH: {"containers": {"main": {"requests": limit, "limits": limit}}}},
    )
    assert values(run(CFSQuota(), context(one, Resources(2), V1, AUTO))) == {"cpu.shares": 512, "cpu.quota": 50_000}
    assert "cpu.burst" not in values(run_pod(CFSQuota(), one, V1, AUTO))


@pytest.mark.parametrize("node", MAINLINE)
def test_the_burst_is_held_to_the_normalised_quota(node):
    node = replace(node, normalization_ratio=Fraction(2))
    one = pod("LS", resources=asked(2), spec=spec(main="2"))
    decision = run(CFSQuota(), context(one, asked(2), node, AUTO))
    assert values(decision) == {"cpu.quota": 100_000, "cpu.burst": 100_000}
    assert "this kernel takes" in decision.settings["cpu.burst"].reason
    if node.cgroup_version == 2:
        assert values(run_pod(CFSQuota(), one, node, AUTO)) == {"cpu.quota": 100_000, "cpu.burst": 100_000}


def test_a_pinned_container_without_quota_has_nothing_to_burst_over():
    one = pod("LS", GUARANTEED, {STATUS: {"cpuset": "2-3"}}, resources=asked(2), spec=spec(main="2"))
    decision = run(CFSQuota(), context(one, asked(2), V1, AUTO), before=[CPUSetHook()])
    assert values(decision) == {"cpu.cpus": "2-3", "cpu.quota": -1}
    assert "unset" in decision.skipped["cpu.burst"]
    assert values(run_pod(CFSQuota(), one, V1, AUTO)) == {"cpu.quota": -1}


def test_a_pinned_container_that_keeps_its_quota_bursts():
    keep = burst_policy(koordnri_config={"hooks": {"cpuset": {"keepQuota": True}}})
    one = pod("LS", GUARANTEED, {STATUS: {"cpuset": "2-3"}})
    assert values(run(CFSQuota(), context(one, asked(2), V1, keep), before=[CPUSetHook()]))["cpu.burst"] == 200_000


def test_the_period_of_kubelet_is_that_of_the_burst():
    assert burst(pod("LS"), asked(2, 20_000), ANOLIS, HALF) == 20_000
    assert pod_burst(pod("LS", resources=asked(2, 20_000), spec=spec(main="2")), ANOLIS, HALF) == 20_000


def test_the_annotation_goes_over_the_policy_field_by_field():
    assert burst(pod("LS", annotations={KEY: {"cpuBurstPercent": 20}}), asked(1), policy=AUTO) == 20_000
    assert burst(pod("LS", annotations={KEY: {"policy": "auto"}}), asked(1), ANOLIS, NONE) == 1_000_000
    assert burst(pod("LS", annotations={KEY: {"policy": "auto"}}), asked(1), policy=HALF) == 50_000
    for policy in ("none", "cfsQuotaBurstOnly"):
        assert burst(pod("LS", annotations={KEY: {"policy": policy}}), asked(1), policy=AUTO) is None


@pytest.mark.parametrize("text", ['{"policy": "always"}', "{", "[]", '{"cpuBurstPercent": -1}', '{"policy": 7}'])
def test_a_bad_annotation_leaves_the_nodes_burst(text):
    one = pod("LS", annotations={KEY: text}, resources=asked(2), spec=spec(main="2"))
    node = replace(V2, normalization_ratio=Fraction(2))
    for decision in (
        run(CFSQuota(), context(one, asked(2), node, AUTO)),
        run_pod(CFSQuota(), one, node, AUTO),
    ):
        assert values(decision) == {"cpu.quota": 100_000, "cpu.burst": 100_000}
        ((fault, message),) = faults(decision)
        assert fault == "pod"
        assert KEY in message


@pytest.mark.parametrize("node", [OLD_V1, OLD_V2])
def test_a_kernel_without_the_file_is_reported_once_per_decision(node):
    decision = run(CFSQuota(), context(pod("LS"), asked(1), node, AUTO))
    assert decision.settings == {}
    assert decision.errors == ()
    assert "cpu.max.burst" in decision.skipped["cpu.burst"]


@pytest.mark.parametrize("node", MAINLINE)
def test_a_smaller_limit_in_the_spec_goes_ahead_of_kubelets_resize(node):
    """The kernel refuses a quota below the burst, and kubelet does not know of the burst."""
    one = pod("LS", resources=asked(2), spec=spec(main="500m"))
    assert burst(one, asked(2), node) == 50_000
    assert pod_burst(one, node) == 50_000
    slower = replace(node, normalization_ratio=Fraction(2))
    assert burst(one, asked(2), slower) == 25_000
    if node.cgroup_version == 2:
        assert pod_burst(one, slower) == 25_000


@pytest.mark.parametrize("node", MAINLINE)
def test_a_larger_limit_in_the_spec_waits_for_kubelets_resize(node):
    one = pod("LS", resources=asked(2), spec=spec(main="4"))
    assert burst(one, asked(2), node) == 200_000
    assert pod_burst(one, node) == 200_000


@pytest.mark.parametrize("cpu", [None, "a lot", "0"])
def test_a_spec_that_says_nothing_usable_of_a_container_leaves_it_to_what_kubelet_asked(cpu):
    assert burst(pod("LS", spec=spec(main=cpu)), asked(2)) == 200_000
    assert burst(pod("LS", spec=spec(other="1")), asked(2)) == 200_000


def test_quota_and_burst_together_stay_within_what_the_kernel_counts():
    most = 2**44 - 1
    assert burst(pod("LS"), Resources(1024, most), V1) == 0
    assert burst(pod("LS"), Resources(1024, most - 7), ANOLIS) == 7
    assert burst(pod("LS"), Resources(1024, most * 2), ANOLIS) == 0


limits_milli = st.lists(st.integers(10, 64_000), min_size=1, max_size=4)


@given(
    limits=limits_milli,
    percent=st.integers(1, 10_000),
    ratio=st.none() | st.fractions(Fraction(1, 2), Fraction(5)),
    period=st.sampled_from([None, 5_000, 20_000, 100_000]),
    version=st.sampled_from([1, 2]),
)
def test_mainline_takes_every_burst_beside_its_quota(limits, percent, ratio, period, version):
    node = replace(V1 if version == 1 else V2, normalization_ratio=ratio)
    policy = burst_policy(percent=percent)
    quotas = [max(milli * (period or 100_000) // 1000, 1000) for milli in limits]
    whole = Resources(1024, max(sum(limits) * (period or 100_000) // 1000, 1000), period)
    one = pod("LS", BURSTABLE, resources=whole, spec=spec(**{f"c{i}": f"{milli}m" for i, milli in enumerate(limits)}))
    decisions = [(run_pod(CFSQuota(), one, node, policy), whole.cpu_quota)]
    for i, quota in enumerate(quotas):
        baseline = Resources(1024, quota, period)
        decisions.append((run(CFSQuota(), context(one, baseline, node, policy, name=f"c{i}")), quota))
    for decision, asked_us in decisions:
        decided = values(decision)
        quota = decided.get("cpu.quota", asked_us)
        assert 0 <= decided["cpu.burst"] <= quota
