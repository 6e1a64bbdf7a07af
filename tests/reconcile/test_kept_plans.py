"""A plan is kept until something changes that a decision reads."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from koordnri.chain import Snapshot
from koordnri.model import NodeState, Pod
from koordnri.reconcile.kept_plans import KeptPlans, mean_the_same
from koordnri.reconcile.plan import PodPlan
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.support.policies import policy_of

POD = Pod("p", "uid-p", "shop", "p", {}, {}, "/kubepods/p")
PLAN = PodPlan([], {}, [], {})
WORLD = World(Snapshot(policy_of(), NodeState(name="n")), "containerd")


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.remember_pod(POD)
    return ledger


@pytest.fixture
def kept(ledger: Ledger) -> KeptPlans:
    kept = KeptPlans(ledger)
    assert kept.get(POD, WORLD) is None
    kept.put(POD, PLAN, WORLD)
    return kept


def test_the_same_world_has_the_same_plan(kept):
    assert kept.get(POD, WORLD) is PLAN


def test_another_version_of_the_pod_has_none(kept):
    assert kept.get(replace(POD, annotations={"a": "b"}, parsed={}), WORLD) is None


def test_an_edit_of_the_ledger_ends_all_plans(kept, ledger):
    ledger.remember_pod(replace(POD, id="q", parsed={}))
    assert kept.get(POD, WORLD) is None


def test_a_pod_whose_container_is_being_created_has_none(kept, ledger):
    ledger.creating = "p"
    assert kept.get(POD, WORLD) is None
    ledger.creating = ""
    assert kept.get(POD, WORLD) is PLAN


def test_another_runtime_ends_all_plans(kept):
    assert kept.get(POD, WORLD._replace(runtime="cri-o")) is None


def test_another_node_ends_all_plans_and_the_same_values_do_not(kept):
    same = WORLD.snapshot._replace(node=NodeState(name="n"))
    assert kept.get(POD, WORLD._replace(snapshot=same)) is PLAN
    other = same._replace(node=NodeState(name="n", memory_bytes=1))
    assert kept.get(POD, WORLD._replace(snapshot=other)) is None


def test_only_what_a_decision_reads_of_a_policy_counts():
    one = WORLD.snapshot
    renamed = one._replace(policy=msgspec.structs.replace(one.policy, revision="2", source="elsewhere"))
    assert mean_the_same(one, renamed)
    burst = policy_of(cpu_burst_config={"clusterStrategy": {"policy": "auto"}})
    assert not mean_the_same(one, one._replace(policy=burst))
