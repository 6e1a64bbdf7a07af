"""The closed loop in a whole daemon: what it measures, writes, shows, and gives back. Files stand for the kernel."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest

from koordnri.model import CPUSet
from koordnri.runtime import Runtime
from tests.daemon.running import FakeHost, Running, create, rewrite, run_pod
from tests.support.waiting import eventually

CLASS = "sys/fs/cgroup/kubepods/besteffort"
SUPPRESS = "resource-threshold-config: {clusterStrategy: {enable: true, cpuSuppressThresholdPercent: 50, cpuSuppressPolicy: %s}}\n"
OBSERVE = "koordnri-config: {controllers: {cpuSuppress: {mode: observe}}}\n"
OFF = "{}\n"


class Node:
    """A daemon on a host of four CPUs that nobody uses."""

    def __init__(self, host: FakeHost, start: Any, runtime: Runtime, policy: Path) -> None:
        self.tree, self.policy, self._start = host.tree, policy, start
        self.tree.write("proc/stat", "cpu  1 0 0 0 0 0 0 0 0 0\n").write(f"{CLASS}/cpuset.cpus", "0-3\n")
        self.tree.write(f"{CLASS}/cpu.max", "max 100000\n")
        run_pod(runtime)
        create(runtime)

    def start(self, policy: str) -> Running:
        self.policy.write_text(policy)
        daemon = self._start(node=None, host_root=self.tree.root, policy_file=self.policy)
        daemon.wait_ready()
        return daemon

    def cpus(self) -> CPUSet:
        return CPUSet.parse((self.tree.root / CLASS / "cpuset.cpus").read_text().strip())

    def quota(self) -> str:
        return (self.tree.root / CLASS / "cpu.max").read_text().split()[0]

    def wait_cpus(self, count: int) -> None:
        eventually(lambda: len(self.cpus()) == count, f"{count} CPUs for best-effort work")


@pytest.fixture
def node(host: FakeHost, start: Any, runtime: Runtime, policy: Path) -> Node:
    return Node(host, start, runtime, policy)


def test_suppressed_work_gets_all_cpus_back_when_it_is_switched_off(node: Node) -> None:
    daemon = node.start(SUPPRESS % "cpuset")
    node.wait_cpus(2)
    history = daemon.daemon.parts.history
    assert history is not None
    line = eventually(
        lambda: [one for one in history.last(5) if one.kube_class == "BestEffort"], "a line of the history"
    )[-1]
    assert (line.field, line.cause, line.old) == ("cpu.cpus", "controller", "0-3")
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.daemon.port}/metrics") as answer:
        metrics = answer.read().decode()
    assert "koordnri_suppressed_cpus 2.0" in metrics
    assert daemon.wait_logged("controller_acted")["be_cpus"] == str(node.cpus())
    rewrite(node.policy, OFF)
    node.wait_cpus(4)
    assert eventually(lambda: daemon.daemon.parts.control_loop.modes == {}, "no controller")


def test_a_quota_is_taken_back_at_the_daemons_end(node: Node) -> None:
    daemon = node.start(SUPPRESS % "cfsQuota")
    eventually(lambda: node.quota() == "200000", "a quota of half of the node")
    assert daemon.stop() == 0
    assert node.quota() == "max"
    assert daemon.logged("controllers_not_undone") == []


def test_observed_nothing_is_done(node: Node) -> None:
    daemon = node.start((SUPPRESS % "cpuset") + OBSERVE)
    assert daemon.wait_logged("controller_would_act")["down"] == 1
    assert len(node.cpus()) == 4


def test_without_a_controller_nothing_is_measured(node: Node) -> None:
    daemon = node.start(OFF)
    loop = daemon.daemon.parts.control_loop
    assert (loop.stats.ticks, loop.modes) == (0, {})
