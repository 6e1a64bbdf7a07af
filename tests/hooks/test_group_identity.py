"""cpu.bvt_warp_ns and cpu.idle of hook cfs_quota. `v27` in a test's name is row 27 of Koordinator's own vectors (reference, section 12)."""

import pytest
from koordnri_hooks.cfs_quota import CFSQuota
from one_hook import BESTEFFORT, BURSTABLE, GUARANTEED, faults, pod, policy_of, run_pod, values

from koordnri.model import ClassContext, KubeQoS, NodeState, Pod, Resources

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
    ctx = ClassContext(KubeQoS(kube), Pod("class", "", "", kube), (), policy, node, node.pod_routes)
    ctx.hook, ctx.owns = CFSQuota.name, frozenset(CFSQuota.owns)
    CFSQuota().decide_class(ctx)
    return ctx.decision


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
def test_a_bad_annotation_costs_the_identity_and_nothing_else(text, problem):
    one = pod("LS", annotations={KEY: text}, resources=Resources(1024, 100_000))
    decision = run_pod(CFSQuota(), one, ANOLIS, LS_AND_BE)
    assert decision.settings == {}
    ((fault, message),) = faults(decision)
    assert fault == "pod"
    assert KEY in message
    assert problem in message


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
def test_a_kernel_without_group_identity_is_told_once_per_decision(node):
    for decision in (run_pod(CFSQuota(), pod("LS"), node, LS_AND_BE), of_class("BestEffort", LS_AND_BE, node)):
        assert decision.settings == {}
        assert decision.errors == []
        assert "cpu.bvt_warp_ns" in decision.skipped["cpu.bvt_warp_ns"]


@pytest.mark.parametrize("node", [ANOLIS, ANOLIS_V2, MAINLINE])
@pytest.mark.parametrize("cpu_policy", [None, "groupIdentity", "coreSched"])
def test_schedIdle_of_BE_makes_the_besteffort_class_idle(node, cpu_policy):
    assert values(of_class("BestEffort", classes(cpu_policy, be={"schedIdle": 1}), node))["cpu.idle"] == 1


@pytest.mark.parametrize("policy", [classes(be={}), classes(be={"enable": False, "schedIdle": 1}), NOTHING])
def test_without_schedIdle_no_class_is_idle(policy):
    for kube in PARENTS:
        assert "cpu.idle" not in of_class(kube, policy, MAINLINE).settings


def test_no_class_whose_shares_kubelet_must_set_is_made_idle():
    policy = classes(ls={"schedIdle": 1}, lsr={"schedIdle": 1})
    assert "cpu.idle" not in of_class("BestEffort", policy, MAINLINE).settings
    for kube in ("Guaranteed", "Burstable"):
        decision = of_class(kube, policy, MAINLINE)
        assert "cpu.idle" not in decision.settings
        assert "beClass only" in decision.skipped["cpu.idle"]


def test_nothing_of_an_idle_class_but_idle_is_set():
    """The kernel refuses shares of an idle cgroup."""
    assert set(values(of_class("BestEffort", classes(be={"schedIdle": 1}), MAINLINE))) == {"cpu.idle"}


def test_a_kernel_without_cpu_idle_is_told():
    decision = of_class("BestEffort", classes(be={"schedIdle": 1}), OLD)
    assert decision.settings == {}
    assert "cpu.idle" in decision.skipped["cpu.idle"]
