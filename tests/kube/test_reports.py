"""What of the API server's answers reaches the node's state and the pods' life: koordnri.daemon.cluster, without a daemon around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from koordnri.daemon.cluster import Cluster as Reported
from koordnri.kube import connect
from koordnri.model import NodeState, Pod
from koordnri.model.node import Pool
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY
from koordnri.model.pod import PodSpec
from koordnri.model.topology import Topology
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from tests.kube.fake_api import Seen, hanging, listing, status
from tests.kube.fake_cluster import NODES, PODS, POOLS, Cluster, node, pod, topology
from tests.kube.watched import write_kubeconfig
from tests.support.waiting import eventually

EIGHT = NodeState(topology=Topology.regular(1, 1, 8, 1))
LS_0_3, BE_4_7 = '[{"cpuset": "0-3"}]', '[{"cpuset": "4-7"}]'
STATUS_KEY = "scheduling.koordinator.sh/resource-status"


class Under:
    """A Cluster under test and what it reported."""

    def __init__(self, reported: Callable[[Under], Reported]) -> None:
        self.ledger = Ledger()
        self.nodes: Seen[NodeState] = Seen()
        self.changed: Seen[str | None] = Seen()
        self.ended: Seen[str] = Seen()
        self.specs: Seen[str] = Seen()
        self.cluster = reported(self)
        self._one_at_a_time = threading.Lock()

    def start(self) -> None:
        self.cluster.start(self, lambda data, source: None)

    def on_node(self) -> None:
        with self._one_at_a_time:  # two watches call: the last item is what was known last
            self.nodes.append(self.cluster.applied(EIGHT))

    def on_pod(self, pod_id: str) -> None:
        self.changed.append(pod_id)

    def on_spec(self, uid: str, spec: PodSpec) -> None:
        self.specs.append(uid)

    def on_end(self, uid: str) -> None:
        self.ended.append(uid)


@pytest.fixture
def served() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def under(tmp_path: Any, log: Any, served: Cluster) -> Iterator[Under]:
    def make(it: Under) -> Reported:
        return Reported(
            connect(write_kubeconfig(tmp_path, served.url)),
            "n1",
            None,
            it.ledger,
            log,
            lambda error: None,
            Faults(log),
            lambda pod: pod,
        )

    it = Under(make)
    yield it
    it.cluster.stop()


def pools(*cpus: str) -> tuple[Pool, ...]:
    return tuple(Pool(0, 0, text) for text in cpus)


class TestPools:
    @pytest.mark.parametrize(
        ("on_topology", "on_node", "ls", "be"),
        [
            ({LS_POOLS_KEY: LS_0_3, BE_POOLS_KEY: BE_4_7}, {}, "0-3", "4-7"),
            ({LS_POOLS_KEY: LS_0_3}, {LS_POOLS_KEY: BE_4_7, BE_POOLS_KEY: BE_4_7}, "0-3", ""),
            ({}, {LS_POOLS_KEY: LS_0_3, BE_POOLS_KEY: BE_4_7}, "0-3", "4-7"),
            ({LS_POOLS_KEY: "[]"}, {LS_POOLS_KEY: LS_0_3}, "0-3", ""),
            ({LS_POOLS_KEY: "{"}, {LS_POOLS_KEY: LS_0_3}, "0-3", ""),
            ({}, {}, "", ""),
        ],
        ids=["the topology's", "the topology's before the Node's", "the Node's", "an empty one", "a bad one", "none"],
    )
    def test_the_topologys_count_and_else_the_nodes(
        self, served: Cluster, under: Under, on_topology: dict[str, str], on_node: dict[str, str], ls: str, be: str
    ) -> None:
        served.lists[POOLS] = listing("NodeResourceTopology", "1", topology("1", on_topology))
        served.lists[NODES] = listing("Node", "1", node("1", {}, on_node))
        under.start()
        last = under.nodes.wait(2)[-1]
        assert last.ls_pools == (pools(ls) if ls else ())
        assert last.be_pools == (pools(be) if be else ())

    def test_the_topologys_count_where_the_node_is_not_registered(self, served: Cluster, under: Under) -> None:
        served.lists[POOLS] = listing("NodeResourceTopology", "1", topology("1", {LS_POOLS_KEY: LS_0_3}))
        served.lists[NODES] = listing("Node", "1")
        under.start()
        last = under.nodes.wait(2)[-1]
        assert (last.ls_pools, last.pools_awaited) == (pools("0-3"), False)

    def test_what_cannot_be_read_is_reported_with_its_object_and_nobody_gets_cpus(
        self, served: Cluster, under: Under
    ) -> None:
        served.lists[POOLS] = listing("NodeResourceTopology", "1", topology("1", {LS_POOLS_KEY: '[{"cpuset": "0-9"}]'}))
        under.start()
        last = under.nodes.wait(2)[-1]
        assert last.problems == (
            f"NodeResourceTopology: annotation {LS_POOLS_KEY}: [0].cpuset: "
            "expected CPUs of 0-7, which are online, got 8-9",
        )
        assert last.pools_awaited

    def test_they_follow_the_object(self, served: Cluster, under: Under) -> None:
        served.lists[POOLS] = listing("NodeResourceTopology", "1")
        under.start()
        assert under.nodes.wait(2)[-1].ls_pools == ()
        served.send(POOLS, "ADDED", topology("2", {LS_POOLS_KEY: LS_0_3}))
        assert under.nodes.wait(3)[-1].ls_pools == pools("0-3")
        served.send(POOLS, "DELETED", topology("3", {LS_POOLS_KEY: LS_0_3}))
        assert under.nodes.wait(4)[-1].ls_pools == ()


class TestAwaited:
    def test_until_something_is_answered(self, under: Under) -> None:
        assert under.cluster.applied(EIGHT).pools_awaited

    @pytest.mark.parametrize("path", [NODES, POOLS], ids=["Node", "NodeResourceTopology"])
    @pytest.mark.parametrize("answer", [hanging(), status(503, "starting"), status(403, "forbidden")])
    def test_while_one_is_not_answered_on(self, served: Cluster, under: Under, path: str, answer: Any) -> None:
        served.lists[path] = answer
        under.start()
        assert under.nodes.wait(1)[0].pools_awaited
        served.requests.until(lambda seen: any(request.path == path for request in seen))
        assert under.cluster.applied(EIGHT).pools_awaited

    @pytest.mark.parametrize(
        "answer",
        [
            listing("NodeResourceTopology", "1", topology("1", {})),
            listing("NodeResourceTopology", "1"),
            status(404, "the server could not find the requested resource"),
        ],
        ids=["object", "no such object", "no such kind"],
    )
    def test_no_more_once_it_is(self, served: Cluster, under: Under, answer: Any) -> None:
        served.lists[POOLS] = answer
        under.start()
        last = under.nodes.wait(2)[-1]
        assert not last.pools_awaited
        eventually(lambda: under.cluster.synced, "synced")

    def test_never_where_no_api_server_is_asked(self) -> None:
        assert not EIGHT.pools_awaited


class TestEnd:
    def of_phase(self, version: str, phase: str) -> dict[str, Any]:
        return {**pod(version, {}), "status": {"phase": phase}}

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_a_pod_that_had_ended_before_the_first_list(self, served: Cluster, under: Under, phase: str) -> None:
        served.lists[PODS] = listing("Pod", "1", self.of_phase("1", phase))
        under.start()
        assert under.ended.wait(1) == ["uid-1"]

    def test_a_pod_that_ends_is_reported_once(self, served: Cluster, under: Under) -> None:
        served.lists[PODS] = listing("Pod", "1", self.of_phase("1", "Running"))
        under.start()
        under.specs.wait(1)
        served.send(PODS, "MODIFIED", self.of_phase("2", "Succeeded"))
        again = self.of_phase("3", "Failed")
        served.send(PODS, "MODIFIED", again)
        other = self.of_phase("4", "Failed")
        served.send(PODS, "ADDED", {**other, "metadata": {**other["metadata"], "uid": "uid-2"}})
        assert under.ended.wait(2) == ["uid-1", "uid-2"]

    @pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
    def test_a_pod_that_has_not_ended(self, served: Cluster, under: Under, phase: str) -> None:
        served.lists[PODS] = listing("Pod", "1", self.of_phase("1", phase))
        under.start()
        under.specs.wait(1)
        assert under.ended.items == []


def test_an_assignment_that_comes_and_goes_is_reported_as_soon_as_it_is_known(served: Cluster, under: Under) -> None:
    under.ledger.remember_pod(Pod("sandbox", "uid-1", "shop", "web"))
    under.start()
    served.send(PODS, "ADDED", pod("2", {STATUS_KEY: '{"cpuset": "0-1"}'}))
    assert under.changed.wait(1) == ["sandbox"]
    assert [known.annotations for known in under.ledger.pods()] == [{STATUS_KEY: '{"cpuset": "0-1"}'}]
    served.send(PODS, "MODIFIED", pod("3", {}))
    assert under.changed.wait(2) == ["sandbox", "sandbox"]
    assert [known.annotations for known in under.ledger.pods()] == [{}]


@pytest.mark.parametrize("uid", ["uid-1", "hash"], ids=["pod", "static pod"])
def test_a_pod_that_claims_anothers_uid_changes_and_ends_nothing(served: Cluster, under: Under, uid: str) -> None:
    victim = Pod("sandbox", uid, "shop", "victim")
    under.ledger.remember_pod(victim)
    impostor = pod("1", {STATUS_KEY: '{"cpuset": "0-1"}', "kubernetes.io/config.mirror": uid})
    served.lists[PODS] = listing("Pod", "1", {**impostor, "status": {"phase": "Failed"}})
    under.start()
    honest = pod("2", {})
    served.send(PODS, "ADDED", {**honest, "metadata": {**honest["metadata"], "name": "other", "uid": "uid-2"}})
    assert under.specs.wait(1) == ["uid-2"]
    assert (under.changed.items, under.ended.items) == ([], [])
    assert under.cluster.overlay(victim) is victim
