"""What is published of a node as a NodeResourceTopology, of a daemon's parts that do not run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.topology import TopologyReport
from koordnri.daemon.wiring import Given, Parts
from koordnri.kube import NodeTopology, NotKnown
from koordnri.model import NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from koordnri.policy import read_policy
from tests.host.trees import HostTree
from tests.support.pods import pod

NODE = NodeState(name="n1", topology=Topology.regular(1, 2, 2, 1))


class Scene:
    """A node with NUMA nodes 0 (CPUs 0, 1) and 1 (CPUs 2, 3)."""

    def __init__(self, parts: Parts, root: Path) -> None:
        self.parts = parts
        self.root = root
        self.uid: str | None = "uid-n1"
        self.report = TopologyReport(parts.present, parts.ledger, root, lambda: self.uid)

    def publishes(self, what: str) -> None:
        path = self.root / "policy.yaml"
        path.write_text(f"koordnri-config: {{publishTopology: {what}}}")
        self.parts.standing.take(lambda: read_policy(path), "policy.yaml", self.parts.changes.enforce)

    def wanted(self) -> NodeTopology:
        found = self.report.wanted()
        assert found is not None
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    log = (tmp_path / "log").open("wb")
    it = Parts(Config(state_dir=tmp_path / "state", listen=None), Given(NODE), log.fileno())
    yield Scene(it, tmp_path)
    it.writer.close()
    log.close()


def cpus(topology: NodeTopology) -> list[Any]:
    """The available CPUs by NUMA node."""
    return [zone["resources"][0]["available"] for zone in topology.content["zones"]]


def test_by_default_nothing_is_published(scene: Scene) -> None:
    assert scene.report.wanted() is None


@pytest.mark.parametrize("uid", [None, ""], ids=["not read yet", "no such Node"])
def test_before_the_node_is_known_nothing_is(scene: Scene, uid: str | None) -> None:
    scene.publishes("zones")
    scene.uid = uid
    with pytest.raises(NotKnown):
        scene.report.wanted()


def test_before_the_policy_was_read_nothing_is_withdrawn(scene: Scene) -> None:
    scene.uid = None
    with pytest.raises(NotKnown):
        scene.report.wanted()


def test_cpus_of_every_owner_are_not_left(scene: Scene) -> None:
    scene.publishes("zones")
    assert cpus(scene.wanted()) == ["2", "2"]
    assigned = {RESOURCE_STATUS.key: '{"cpuset": "2-3"}'}
    scene.parts.ledger.remember_pod(pod("LSR", annotations=assigned, name="assigned"))
    scene.parts.present.kubelet._put({("uid-pinned", "main"): NODE.topology.online})  # type: ignore[union-attr]
    assert cpus(scene.wanted()) == ["2", "0"], "the pinned pod is not there"
    scene.parts.ledger.remember_pod(pod(name="pinned"))
    assert cpus(scene.wanted()) == ["0", "0"]


def test_the_hosts_memory_and_kubelets_alignment_are_published(scene: Scene) -> None:
    tree = HostTree(scene.root)
    tree.write("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 4 kB\n")
    tree.write("var/lib/kubelet/config.yaml", "topologyManagerPolicy: restricted\n")
    scene.publishes("zones")
    content = scene.wanted().content
    assert [len(zone["resources"]) for zone in content["zones"]] == [1, 2]
    assert content["attributes"][0]["value"] == "restricted"


def test_koordinator_gets_only_pods_whose_cpus_its_scheduler_did_not_assign(scene: Scene) -> None:
    scene.publishes("koordinator")
    assigned = {RESOURCE_STATUS.key: '{"cpuset": "2"}'}
    scene.parts.ledger.remember_pod(pod("LSR", annotations=assigned, name="assigned"))
    scene.parts.ledger.remember_pod(pod(name="pinned"))
    pins = {("uid-pinned", name): NODE.topology.online for name in ("a", "b")}  # type: ignore[union-attr]
    scene.parts.present.kubelet._put(pins)
    (found,) = json.loads(scene.wanted().annotations["node.koordinator.sh/pod-cpu-allocs"])
    assert (found["name"], found["cpuset"]) == ("pinned", "0-3")


def test_without_the_api_server_a_policy_that_publishes_is_warned_of(scene: Scene) -> None:
    assert not scene.parts.readiness.warnings()
    scene.publishes("zones")
    (warning,) = scene.parts.readiness.warnings()
    assert warning.startswith("policy: publishTopology: zones has no effect")
