"""How much faster than the slowest CPU of the cluster a node's CPUs are."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import NodeState
from koordnri.model.topology import Topology
from tests.support.policies import policy_of

SMT, PLAIN = Topology.regular(1, 1, 2, 2), Topology.regular(1, 1, 2, 1)
MODEL = {"m1": {"baseRatio": 1.5, "hyperThreadEnabledRatio": 1.2}}


def ratio_of(node: NodeState, **config: Any) -> Any:
    return policy_of(cpu_normalization_config=config).normalization.ratio_of(node)


@pytest.mark.parametrize(
    ("model", "topology", "expected"),
    [("m1", PLAIN, 1.5), ("m1", SMT, 1.2), ("unknown", PLAIN, 1.0)],
)
def test_a_models_ratio_depends_on_its_threads(model: str, topology: Topology, expected: float) -> None:
    found = ratio_of(NodeState(cpu_model=model, topology=topology), enable=True, ratioModel=MODEL)
    assert float(found) == expected


def test_a_default_stands_in_for_models_that_are_not_named() -> None:
    node = NodeState(cpu_model="unknown", topology=PLAIN)
    assert float(ratio_of(node, enable=True, ratioModel=MODEL, defaultRatio=2.0)) == 2.0


def test_what_is_not_enabled_has_no_ratio() -> None:
    assert ratio_of(NodeState(cpu_model="m1", topology=PLAIN), enable=False, ratioModel=MODEL) is None


def test_a_ratio_out_of_range_counts_as_none() -> None:
    assert ratio_of(NodeState(topology=PLAIN), enable=True, defaultRatio=0.5) is None
