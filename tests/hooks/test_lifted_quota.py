"""CFS quotas that are lifted without pinning: by class, or for pods that a trust rule believes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from koordnri_hooks.cfs_quota import CFSQuota

from koordnri.model import NodeState, Resources
from koordnri.model.annotations import CPU_QUOTA_KEY
from koordnri.policy import Policy
from koordnri.policy.trust import believed
from tests.hooks.batch_pods import batch, be
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod
from tests.support.policies import policy_of

LIMITED = Resources(1024, 50_000)
NONE = {CPU_QUOTA_KEY: "none"}


def lifting(*classes: str) -> Policy:
    return policy_of(koordnri_config={"hooks": {"cfs_quota": {"liftFor": list(classes)}}})


@pytest.mark.parametrize(
    ("qos", "parent", "listed", "lifted"),
    [
        ("LS", BURSTABLE, "LS", True),
        ("LSR", GUARANTEED, "LSR", True),
        ("SYSTEM", BURSTABLE, "SYSTEM", True),
        ("LSR", GUARANTEED, "LS", False),
        ("", BURSTABLE, "Burstable", True),
        ("", GUARANTEED, "Guaranteed", True),
        ("", BURSTABLE, "LS", False),
        ("LS", BURSTABLE, "Burstable", False),
    ],
)
def test_pods_of_a_listed_class_have_no_quota_and_others_keep_it(qos, parent, listed, lifted):
    one, policy = pod(qos, parent, resources=LIMITED), lifting(listed)
    expected = {"cpu.quota": -1} if lifted else {}
    assert values(run(CFSQuota(), context(one, LIMITED, policy=policy))) == expected
    assert values(run_pod(CFSQuota(), one, policy=policy)) == expected


def test_a_lifted_quota_is_neither_normalised_nor_burst():
    policy = policy_of(
        koordnri_config={"hooks": {"cfs_quota": {"liftFor": ["LS"]}}},
        cpu_burst_config={"clusterStrategy": {"policy": "auto"}},
    )
    node = NodeState(normalization_ratio=Fraction("1.2"), cgroup_version=2, cgroup_files=frozenset({"cpu.max.burst"}))
    decision = run(CFSQuota(), context(pod("LS"), LIMITED, node, policy))
    assert values(decision) == {"cpu.quota": -1}
    assert "cpu.burst" in decision.skipped


def test_a_batch_limit_is_lifted_for_BE_and_its_shares_stay():
    decision = run(CFSQuota(), context(be(main=batch("500", "500")), Resources(2), policy=lifting("BE")))
    assert values(decision) == {"cpu.shares": 512, "cpu.quota": -1}


def test_where_there_is_no_quota_nothing_is_set():
    assert values(run(CFSQuota(), context(pod("LS"), Resources(1024), policy=lifting("LS")))) == {}
    assert values(run(CFSQuota(), context(pod("LS"), Resources(1024, -1), policy=lifting("LS")))) == {}


@pytest.mark.parametrize(("namespaces", "lifted"), [((), False), (("other",), False), (("shop",), True)])
def test_a_pods_annotation_lifts_its_quota_where_the_trust_rule_believes_it(namespaces, lifted):
    policy = policy_of(koordnri_config={"trust": {"cpuQuota": {"namespaces": list(namespaces)}}})
    one = believed(pod(annotations=NONE, resources=LIMITED), policy.trust)
    expected = {"cpu.quota": -1} if lifted else {}
    assert values(run(CFSQuota(), context(one, LIMITED, policy=policy))) == expected
    assert values(run_pod(CFSQuota(), one, policy=policy)) == expected
    (verdict,) = one.verdicts
    assert (verdict.rule, verdict.counts) == ("cpuQuota", lifted)


def test_another_text_in_the_annotation_is_the_pods_owners_mistake_and_the_quota_stays():
    decision = run(CFSQuota(), context(pod(annotations={CPU_QUOTA_KEY: "off"}), LIMITED))
    assert values(decision) == {}
    assert faults(decision) == [("pod", f"annotation {CPU_QUOTA_KEY}: expected none, got 'off'; the quota stays")]


def test_the_reason_names_what_lifted_it():
    by_class = run(CFSQuota(), context(pod("", BESTEFFORT), LIMITED, policy=lifting("LS", "Burstable")))
    assert values(by_class) == {}, "BestEffort pods have no quota that could be lifted by class"
    asked = run(CFSQuota(), context(pod(annotations=NONE), LIMITED))
    assert asked.settings["cpu.quota"].reason == f"lifted by the annotation {CPU_QUOTA_KEY}"
