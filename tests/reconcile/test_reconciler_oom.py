"""oom_score_adj of running containers on a fake kernel: follows the policy, and is given back."""

from __future__ import annotations

import dataclasses

import pytest

from koordnri.model.node import MAINLINE_V2_FILES
from tests.reconcile.fake_node import FakeNode, undone

FILE = "processes/oom_score_adj"
KUBELETS = 985


def scores(**by_class: int) -> dict[str, object]:
    return {"koordnri_config": {"hooks": {"memory": {"oomScoreAdj": by_class}}}}


def node_with_right(version: int) -> FakeNode:
    node = FakeNode(version)
    files = (MAINLINE_V2_FILES if version == 2 else frozenset()) | {FILE}
    node.state = dataclasses.replace(node.state, cgroup_files=files)
    return node


def score(node: FakeNode, container: str) -> int:
    return node.kernel.cgroups[container].numbers.get(FILE, 0)


@pytest.mark.parametrize("version", [1, 2])
def test_running_containers_follow_the_policy_and_get_kubelets_score_back(version: int) -> None:
    node = node_with_right(version)
    web = node.container(node.pod("web", "LS"))
    job = node.container(node.pod("job", "BE", "BestEffort"))
    for container in (web, job):
        node.kernel.cgroups[container].numbers[FILE] = KUBELETS
    node.set_policy(**scores(ls=-5))
    node.run_pass()
    assert (score(node, web), score(node, job)) == (-5, KUBELETS)
    node.set_policy(**scores(ls=7))
    node.run_pass()
    assert score(node, web) == 7
    again = node.restarted()
    again.set_policy()
    again.run_pass()
    assert (score(again, web), score(again, job)) == (KUBELETS, KUBELETS)
    assert again.ledger.all_originals() == {}


def test_what_somebody_else_wrote_is_healed_by_a_sweep() -> None:
    node = node_with_right(2)
    node.set_policy(**scores(ls=-5))
    web = node.container(node.pod("web", "LS"))
    node.run_pass()
    node.kernel.cgroups[web].numbers[FILE] = 0
    node.run_pass("sweep")
    assert score(node, web) == -5
    assert undone(node) == {"oom_score_adj": 1}


def test_without_the_right_nothing_is_written() -> None:
    node = FakeNode()
    web = node.container(node.pod("web", "LS"))
    node.set_policy(**scores(ls=-5))
    node.run_pass()
    assert FILE not in node.kernel.cgroups[web].numbers
