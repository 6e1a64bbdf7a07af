"""The network class of a pod, and of its containers."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.network import Network

from koordnri.model import AnnotationError, NodeState
from koordnri.model.annotations import NETWORK_QOS_KEY
from koordnri.policy import DEFAULT_POLICY, Policy
from tests.hooks.one_hook import context, run, run_pod, values
from tests.support.pods import pod
from tests.support.policies import policy_of

V1 = NodeState(cgroup_version=1, cgroup_files=frozenset({"net_cls/net_cls.classid"}))


def enabled(*classes: str, **policies: str) -> Policy:
    strategy: dict[str, Any] = {f"{name}Class": {"networkQOS": {"enable": True}} for name in classes}
    return policy_of(resource_qos_config={"clusterStrategy": {**strategy, "policies": policies}})


ALL = enabled("lsr", "ls", "be", "system")


@pytest.mark.parametrize(
    ("qos", "number"), [("SYSTEM", 0x10002), ("LSE", 0x10003), ("LSR", 0x10003), ("LS", 0x10003), ("BE", 0x10004)]
)
def test_pod_and_container_have_the_id_of_their_class(qos: str, number: int) -> None:
    assert values(run_pod(Network(), pod(qos), V1, ALL)) == {"net_cls.classid": number}
    assert values(run(Network(), context(pod(qos), node=V1, policy=ALL))) == {"net_cls.classid": number}


@pytest.mark.parametrize(
    ("one", "policy"), [("", ALL), ("BE", enabled("ls")), ("BE", enabled("be", netQOSPolicy="terway-qos"))]
)
def test_others_have_none(one: str, policy: Policy) -> None:
    assert values(run_pod(Network(), pod(one), V1, policy)) == {}


@pytest.mark.parametrize(("limit", "skipped"), [("10M", True), (50, True), ("0", False), (0, False)])
def test_a_pod_with_limits_of_its_own_is_left_to_whoever_makes_a_tc_class_for_it(
    limit: str | int, skipped: bool
) -> None:
    text = f'{{"egressLimit": {limit}}}' if isinstance(limit, int) else f'{{"egressLimit": "{limit}"}}'
    decision = run_pod(Network(), pod("LS", annotations={NETWORK_QOS_KEY: text}), V1, ALL)
    assert ("net_cls.classid" in decision.skipped) is skipped
    assert bool(values(decision)) is not skipped


@pytest.mark.parametrize("policy", [ALL, enabled(netQOSPolicy="terway-qos")])
@pytest.mark.parametrize("text", ['{"ingressLimit": "much"}', '{"egressLimit": 101}', "{"])
def test_a_mistake_is_its_owners_under_either_policy(text: str, policy: Policy) -> None:
    with pytest.raises(AnnotationError, match=r"^annotation koordinator\.sh/networkQOS"):
        run_pod(Network(), pod("LS", annotations={NETWORK_QOS_KEY: text}), V1, policy)


def test_on_cgroup_v2_there_is_no_such_file() -> None:
    assert run_pod(Network(), pod("LS"), NodeState(), ALL).skipped == {
        "net_cls.classid": "cgroup v2 has no net_cls.classid"
    }


def test_it_is_asked_only_where_a_class_or_terway_wants_it() -> None:
    wants = [Network().has_work(p) for p in (DEFAULT_POLICY, enabled("be"), enabled(netQOSPolicy="terway-qos"))]
    assert wants == [False, True, True]
