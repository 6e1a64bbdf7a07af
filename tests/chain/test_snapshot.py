"""What a snapshot adds to the node."""

from __future__ import annotations

from koordnri.chain import Snapshot
from koordnri.model import NodeState
from koordnri.policy import DEFAULT_POLICY
from tests.support.policies import policy_of


def test_the_policys_ratio_stands_in_where_the_node_reports_none():
    doc = policy_of(cpu_normalization_config={"enable": True, "ratioModel": {"m1": {"baseRatio": 1.5}}})
    reported = NodeState(cpu_model="m1", normalization_ratio=2)
    assert Snapshot.of(doc, reported).node is reported
    assert Snapshot.of(DEFAULT_POLICY, NodeState(cpu_model="m1")).node.normalization_ratio is None
    assert Snapshot.of(doc, NodeState(cpu_model="m1")).node.normalization_ratio == 1.5
