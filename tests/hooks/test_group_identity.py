"""cpu.bvt_warp_ns and cpu.idle of hook cfs_quota. `v27` in a test's name is row 27 of Koordinator's own vectors (koordinator.md 11)."""

import pytest
from koordnri_hooks.cfs_quota import CFSQuota

from koordnri.hook import ClassContext
from koordnri.model import KubeQoS, NodeState, Resources
from koordnri.model.annotations import BATCH_CPU, EXTENDED_RESOURCE_SPEC
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

KEY = "koordinator.sh/cpuQOS"
ANOLIS = NodeState(cgroup_version=1, cgroup_files=frozenset({"cpu/cpu.bvt_warp_ns", "cpu/cpu.idle"}))
ANOLIS_V2 = NodeState(cgroup_files=frozenset({"cpu.max", "cpu.bvt_warp_ns", "cpu.idle"}))
MAINLINE = NodeState()
OLD = NodeState(cgroup_version=1, cgroup_files=frozenset())
PARENTS = {"Guaranteed": GUARANTEED, "Burstable": BURSTABLE, "BestEffort": BESTEFFORT}


def classes(cpu_policy=None, **of_class):
    """Policy with cpuQOS by class: `ls={"groupIdentity": 1}` enables it."""
    strategy = {f"{name}Class": {"cpuQOS": {"enable": True, **cpu}} for name, cpu in of_class.items()}
    if cpu_policy is not None:
        strategy["policies"] = {"cpuPolicy": cpu_policy}
    return policy_of(resource_qos_config={"clusterStrategy": strategy})


NOTHING = policy_of()
LS_AND_BE = classes(ls={"groupIdentity": 2}, be={"groupIdentity": -1})
CORE_SCHED = classes("coreSched", ls={}, be={"schedIdle": 1})


def identity(one, policy, node=ANOLIS):
    return values(run_pod(CFSQuota(), one, node, policy)).get("cpu.bvt_warp_ns")


def of_class(kube, policy, node=ANOLIS):
    ctx = ClassContext(KubeQoS(kube), (), policy, node, node.pod_routes)
    ctx.hook, ctx.owns = CFSQuota.name, frozenset(CFSQuota.owns)
    CFSQuota().decide_class(ctx)
    return ctx.made()


@pytest.mark.parametrize("node", [ANOLIS, ANOLIS_V2])
def test_v27_pods_and_classes_have_the_identity_of_their_class(node):
    assert identity(pod("LS"), LS_AND_BE, node) == 2
    assert identity(pod("BE", BESTEFFORT), LS_AND_BE, node) == -1
    found = {kube: values(of_class(kube, LS_AND_BE, node)) for kube in PARENTS}
    assert found == {
        "Guaranteed": {"cpu.bvt_warp_ns": 0},
        "Burstable": {"cpu.bvt_warp_ns": 2},
        "BestEffort": {"cpu.bvt_warp_ns": -1},
    }


@pytest.mark.parametrize(
    ("qos", "annotation", "expected"),
    [
        pytest.param("LS", {"enable": True, "groupIdentity": -1}, -1, id="v28-own"),
        pytest.param("LS", {"enable": False}, 0, id="v28-disabled"),
        pytest.param("LS", {"groupIdentity": 1}, 0, id="v28-not-enabled"),
        pytest.param("BE", {"enable": True, "groupIdentity": 2}, -1, id="v28-BE"),
        pytest.param("", {"enable": True, "groupIdentity": -1}, 2, id="v28-unlabelled"),
        pytest.param("LS", {"enable": True}, 2, id="no-number"),
        pytest.param("LS", {"ENABLE": True, "groupidentity": 1}, 1, id="any-case"),
    ],
)
def test_v28_an_LS_pods_annotation_goes_before_its_class(qos, annotation, expected):
    assert identity(pod(qos, annotations={KEY: annotation}), LS_AND_BE) == expected


def test_the_annotation_counts_without_a_class_that_is_enabled():
    assert identity(pod("LS", annotations={KEY: {"enable": True, "groupIdentity": 1}}), NOTHING) == 1
    assert identity(pod("LSR", annotations={KEY: {"enable": True, "groupIdentity": 1}}), NOTHING) is None


@pytest.mark.parametrize(
    ("qos", "kube", "policy", "expected"),
    [
        ("LSE", "Guaranteed", classes(lsr={"groupIdentity": 1}), 1),
        ("LSR", "Guaranteed", classes(lsr={}), 2),
        ("LSR", "Guaranteed", classes(ls={}), 0),
        ("BE", "BestEffort", classes(be={}), -1),
        ("BE", "BestEffort", classes(ls={}), 0),
        ("", "Guaranteed", classes(lsr={"groupIdentity": 1}, ls={}), 1),
        ("", "Guaranteed", classes(ls={"groupIdentity": 1}), 1),
        ("", "Guaranteed", classes(be={}), 0),
        ("", "Burstable", classes(ls={}), 2),
        ("", "BestEffort", classes(be={}), -1),
        ("SYSTEM", "Burstable", classes(ls={"groupIdentity": 1}), 1),
    ],
)
def test_a_pod_goes_by_its_label_else_by_Kubernetes_class(qos, kube, policy, expected):
    assert identity(pod(qos, PARENTS[kube]), policy) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ({"enable": True, "groupIdentity": 3}, "expected -1..2, got 3"),
        ("{", "broken JSON"),
        ({"enable": "yes"}, "expected true or false"),
    ],
)
def test_a_bad_annotation_leaves_the_identity_of_the_class(text, problem):
    one = pod("LS", annotations={KEY: text}, resources=Resources(1024, 100_000))
    for policy, expected in ((LS_AND_BE, {"cpu.bvt_warp_ns": 2}), (NOTHING, {})):
        decision = run_pod(CFSQuota(), one, ANOLIS, policy)
        assert values(decision) == expected
        ((fault, message),) = faults(decision)
        assert fault == "pod"
        assert KEY in message
        assert problem in message


def test_an_annotation_without_a_number_does_not_enable_a_disabled_class():
    one = pod("LS", annotations={KEY: {"enable": True}})
    assert identity(one, NOTHING) == 0
    assert identity(one, classes(ls={"enable": False, "groupIdentity": 2}, be={})) == 0


def test_where_nobody_asks_for_group_identity_there_is_none():
    assert run_pod(CFSQuota(), pod("LS"), ANOLIS, NOTHING).settings == {}
    for kube in PARENTS:
        decision = of_class(kube, NOTHING)
        assert (decision.settings, decision.skipped) == ({}, {})


def test_core_scheduling_leaves_group_identity_out_and_says_why():
    annotated = pod("LS", annotations={KEY: {"enable": True, "groupIdentity": 1}})
    decisions = [run_pod(CFSQuota(), one, ANOLIS, CORE_SCHED) for one in (pod("LS"), annotated)]
    decisions += [of_class(kube, CORE_SCHED) for kube in PARENTS]
    for decision in decisions:
        assert "cpu.bvt_warp_ns" not in decision.settings
        assert "coreSched" in decision.skipped["cpu.bvt_warp_ns"]


@pytest.mark.parametrize("node", [MAINLINE, OLD])
def test_a_kernel_without_group_identity_is_reported_once_per_decision(node):
    for decision in (run_pod(CFSQuota(), pod("LS"), node, LS_AND_BE), of_class("BestEffort", LS_AND_BE, node)):
        assert decision.settings == {}
        assert decision.errors == ()
        assert "cpu.bvt_warp_ns" in decision.skipped["cpu.bvt_warp_ns"]


IDLE_BE = classes(be={"schedIdle": 1})
BATCH = {
    EXTENDED_RESOURCE_SPEC.key: {"containers": {"main": {"requests": {BATCH_CPU: 500}, "limits": {BATCH_CPU: 500}}}}
}


@pytest.mark.parametrize("node", [ANOLIS, ANOLIS_V2, MAINLINE])
@pytest.mark.parametrize("cpu_policy", [None, "groupIdentity", "coreSched"])
@pytest.mark.parametrize("qos", ["BE", ""])
def test_schedIdle_of_beClass_makes_its_pods_idle_and_no_class(node, cpu_policy, qos):
    policy = classes(cpu_policy, be={"schedIdle": 1})
    assert values(run_pod(CFSQuota(), pod(qos, BESTEFFORT), node, policy))["cpu.idle"] == 1
    for kube in PARENTS:
        assert "cpu.idle" not in of_class(kube, policy, node).settings


@pytest.mark.parametrize("policy", [classes(be={}), classes(be={"enable": False, "schedIdle": 1}), NOTHING])
def test_without_schedIdle_no_pod_is_idle(policy):
    assert "cpu.idle" not in run_pod(CFSQuota(), pod("BE", BESTEFFORT), MAINLINE, policy).settings


@pytest.mark.parametrize(
    ("qos", "parent", "why"),
    [
        ("LS", BURSTABLE, "beClass only"),
        ("LSR", GUARANTEED, "beClass only"),
        ("", BURSTABLE, "beClass only"),
        ("BE", BURSTABLE, "kubelet must be able to set its shares"),
    ],
)
def test_no_pod_whose_shares_kubelet_may_set_is_made_idle(qos, parent, why):
    policy = classes(lsr={"schedIdle": 1}, ls={"schedIdle": 1}, be={"schedIdle": 1})
    decision = run_pod(CFSQuota(), pod(qos, parent), MAINLINE, policy)
    assert "cpu.idle" not in decision.settings
    assert why in decision.skipped["cpu.idle"]


def test_an_idle_pod_has_no_shares_and_keeps_its_quota_and_its_containers_shares():
    """The kernel refuses shares of an idle cgroup."""
    batch = pod("BE", BESTEFFORT, BATCH)
    decision = run_pod(CFSQuota(), batch, MAINLINE, IDLE_BE)
    assert values(decision) == {"cpu.idle": 1, "cpu.quota": 50_000}
    assert "share evenly" in decision.skipped["cpu.shares"]
    assert values(run(CFSQuota(), context(batch, policy=IDLE_BE)))["cpu.shares"] == 512


def test_a_kernel_without_cpu_idle_is_reported_and_the_pod_has_its_shares():
    decision = run_pod(CFSQuota(), pod("BE", BESTEFFORT, BATCH), OLD, IDLE_BE)
    assert values(decision) == {"cpu.shares": 512, "cpu.quota": 50_000}
    assert "cpu.idle" in decision.skipped["cpu.idle"]
