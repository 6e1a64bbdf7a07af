"""What follows when the policy or the node has changed."""

from __future__ import annotations

import json
from typing import Any

from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from tests.daemon.running import PINNED, create, rewrite, run_pod
from tests.host.trees import HostTree
from tests.support.waiting import eventually


def test_a_node_strategy_counts_where_it_matches(start, runtime, policy):
    strategy = {"name": "special", "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "n"}}}
    strategy["beClass"] = {"memoryQOS": {"minLimitPercent": 77}}
    policy.write_text(json.dumps({"resource-qos-config": {"nodeStrategies": [strategy]}}))
    running = start(policy_file=policy)
    running.wait_ready()
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 77


def test_a_policy_change_reaches_the_next_container(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    run_pod(runtime, PINNED)
    assert create(runtime, "c1").cpus == "2-3"
    revision = running.daemon.parts.handler.snapshot.policy.revision
    rewrite(policy, "koordnri-config: {hooks: {cpuset: {mode: 'off'}}}\n")
    eventually(lambda: running.daemon.parts.handler.snapshot.policy.revision != revision, "the new policy")
    assert create(runtime, "c2").cpus == ""


def test_cpus_that_go_offline_are_noticed(start, runtime, tmp_path):
    tree = HostTree(tmp_path / "host").cpus(Topology.regular(1, 1, 4, 1))
    running = start(node=None, host_root=tree.root, node_name="n")
    running.wait_ready()
    assert running.logged("node_fact_missing"), "of a tree that has CPUs only"
    tree.write("sys/devices/system/cpu/online", "0-2\n")

    def online() -> str:
        topology = running.daemon.parts.handler.snapshot.node.topology
        return "" if topology is None else str(topology.online)

    eventually(lambda: online() == "0-2", "three CPUs")
    run_pod(runtime, {**PINNED, RESOURCE_STATUS.key: '{"cpuset": "3"}'})
    assert create(runtime).cpus == "", "the runtime would refuse the container"
    assert running.wait_logged("node_changed")
    assert "3 names no CPU that the node has online" in running.wait_logged("hook_failed")["error"]


def test_a_bug_in_looking_at_the_node_or_the_policy_costs_that_look(start, runtime, policy, host, monkeypatch):
    monkeypatch.setattr("koordnri.daemon.daemon.NODE_TICK_S", 0.01)
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    look, look_at_policy = running.daemon.parts.present.scan, running.daemon.parts.sources.scan

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    running.daemon.parts.present.scan = running.daemon.parts.sources.scan = broken
    counts = running.daemon.parts.faults.counts
    eventually(lambda: counts["node"] > 1 and counts["policy"] > 1, "both are counted")
    running.daemon.parts.present.scan, running.daemon.parts.sources.scan = look, look_at_policy
    policy.write_text("koordnri-config: {hooks: {cpuset: {mode: off}}}\n")
    running.wait_logged("policy_accepted", 2)
    assert [line["where"] for line in running.logged("contained_fault")] == ["policy", "node"]
