"""Whether a node gives a pod exclusive CPUs at all: each reason against it, by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.cpus.permission import may_give, why_not_given
from koordnri.model import NodeState, Pod
from koordnri.model.node import Pool
from koordnri.model.qos import QOS_LABEL
from koordnri.model.topology import Topology
from koordnri.policy import Policy
from tests.support.policies import policy_of

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 4, 1))
POD = Pod("p", "uid-p", "shop", "p", {QOS_LABEL: "LSR"}, {}, "/kubepods/p")


def policy(**options: Any) -> Policy:
    return policy_of(koordnri_config=options)


def test_without_a_reason_against_it_a_pod_may_get_some() -> None:
    assert why_not_given(POD, policy(), NODE) == ""
    assert may_give(POD, policy(), NODE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kubelet_cpu_policy": "static"}, "kubelet's CPU manager is static"),
        ({"ls_pools": (Pool(0, 0, "0-3"),)}, "Koordinator publishes share pools"),
        ({"pools_awaited": True}, "the API server has yet to say"),
        ({"topology": None}, "topology is not known"),
        ({"cgroup_read_only": True}, "mounted read-only"),
        ({"released": frozenset({"p"})}, "its pod was released"),
        ({"released": frozenset({"*"})}, "its pod was released"),
    ],
)
def test_what_of_the_node_is_against_it(changes: dict[str, Any], reason: str) -> None:
    node = replace(NODE, **changes)
    assert reason in why_not_given(POD, policy(), node)
    assert not may_give(POD, policy(), node)


def test_share_pools_of_this_node_are_no_reason() -> None:
    node = replace(NODE, ls_pools=(Pool(0, 0, "0-3"),), pools_are_local=True)
    assert why_not_given(POD, policy(), node) == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"hooks": {"cpuset": {"mode": "observe"}}}, "hooks.cpuset.mode: observe"),
        ({"hooks": {"cpuset": {"allocate": False}}}, "hooks.cpuset.allocate: false"),
        ({"publishTopology": "koordinator"}, "publishTopology: koordinator, so koord-scheduler assigns CPUs"),
        ({"namespacesLeftAlone": ["shop"]}, "leaves namespace shop alone"),
    ],
)
def test_what_of_the_policy_is_against_it(options: dict[str, Any], reason: str) -> None:
    assert reason in why_not_given(POD, policy(**options), NODE)


def test_zones_that_are_published_are_no_reason() -> None:
    assert why_not_given(POD, policy(publishTopology="zones"), NODE) == ""


def test_a_pod_that_shares_gets_none_though_the_node_would_give_some() -> None:
    shares = replace(POD, labels={QOS_LABEL: "LS"}, parsed={})
    assert why_not_given(shares, policy(), NODE) == ""
    assert not may_give(shares, policy(), NODE)
