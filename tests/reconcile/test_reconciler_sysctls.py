"""Sysctls on a fake kernel: set, healed, given back."""

from __future__ import annotations

import dataclasses

import pytest

from tests.host.fake_kernel import ROOT
from tests.reconcile.fake_node import FakeNode

SCALE = "/proc/sys/vm/watermark_scale_factor"
POLICY = {"system_config": {"clusterStrategy": {"watermarkScaleFactor": 150}}}


def node_with(version: int) -> FakeNode:
    node = FakeNode(version)
    node.kernel.host_files = {f"{ROOT}{SCALE}": "10\n"}
    node.state = dataclasses.replace(node.state, root_files=frozenset({SCALE}))
    return node


def scale(node: FakeNode) -> int:
    return int(node.kernel.host_files[f"{ROOT}{SCALE}"])


@pytest.mark.parametrize("version", [1, 2])
def test_a_sysctl_follows_the_policy_and_is_given_back_also_by_the_next_daemon(version: int) -> None:
    node = node_with(version)
    node.set_policy(**POLICY)
    node.run_pass()
    assert scale(node) == 150
    again = node.restarted()
    again.set_policy()
    again.run_pass()
    assert scale(again) == 10
    assert again.ledger.all_originals() == {}


def test_what_somebody_else_wrote_is_healed_and_becomes_what_is_given_back() -> None:
    node = node_with(2)
    node.set_policy(**POLICY)
    node.run_pass()
    node.kernel.host_files[f"{ROOT}{SCALE}"] = "20\n"
    node.run_pass("sweep")
    assert scale(node) == 150
    node.set_policy()
    node.run_pass()
    assert scale(node) == 20


def test_a_release_of_all_gives_it_back() -> None:
    node = node_with(2)
    node.set_policy(**POLICY)
    node.run_pass()
    node.state = dataclasses.replace(node.state, released=frozenset("*"))
    node.run_pass()
    assert scale(node) == 10


FEATURES = "/sys/kernel/debug/sched/features"


@pytest.mark.parametrize("version", [1, 2])
def test_scheduler_features_follow_by_one_write_each_and_are_given_back(version: int) -> None:
    node, path = FakeNode(version), f"{ROOT}{FEATURES}"
    node.kernel.host_files = {path: "NEXT_BUDDY NO_HRTICK LB_MIN\n"}
    node.state = dataclasses.replace(node.state, root_files=frozenset({FEATURES}))
    features = {"NEXT_BUDDY": False, "HRTICK": True, "LB_MIN": True}
    node.set_policy(system_config={"clusterStrategy": {"schedFeatures": features}})
    node.run_pass()
    assert node.kernel.host_files[path] == "NO_NEXT_BUDDY HRTICK LB_MIN\n"
    assert sorted(text for _, text in node.kernel.log) == ["HRTICK", "NO_NEXT_BUDDY"]
    node.set_policy(system_config={"clusterStrategy": {"schedFeatures": {"HRTICK": True}}})
    again = node.restarted()
    again.run_pass()
    assert node.kernel.host_files[path] == "NEXT_BUDDY HRTICK LB_MIN\n"
    again.set_policy()
    again.run_pass()
    assert node.kernel.host_files[path] == "NEXT_BUDDY NO_HRTICK LB_MIN\n"
    assert again.ledger.all_originals() == {}
