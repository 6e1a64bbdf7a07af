"""What is asked of the API server to publish a NodeResourceTopology, and when nothing is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import Api, NodeTopology, NotKnown, Timing, TopologyPublisher
from koordnri.kube.topology_object import MANAGED_BY, NOBODY, OURS
from tests.kube.fake_api import FakeApi, Request, status, whole

PATH = "/apis/topology.node.k8s.io/v1alpha2/noderesourcetopologies/n1"
OK, ABSENT = whole(200, b"{}"), status(404, "not found")
ONE = NodeTopology("v1alpha2", "uid-n1", {"a": "1"}, {"zones": [{"name": "node-0", "type": "Node"}]})
OTHER = ONE._replace(annotations={"a": "2"})


def stored(label: str) -> Any:
    return whole(200, json.dumps({"metadata": {"name": "n1", "labels": {MANAGED_BY: label}}}).encode())


class Scene:
    """The publisher of node n1, whose thread does not run; each step is one attempt."""

    def __init__(self, api: Api, log: Any) -> None:
        self.wanted: NodeTopology | None = ONE
        self.known = True
        self.refused: list[str] = []
        self.publisher = TopologyPublisher(
            api, "n1", self._wanted, self.refused.append, log, lambda error: None, settle_s=0.0, clock=lambda: 0.0
        )

    def _wanted(self) -> NodeTopology | None:
        if not self.known:
            raise NotKnown
        return self.wanted

    def step(self) -> float | None:
        self.publisher.changed()
        return self.publisher.step()


@pytest.fixture
def scene(api: Api, log: Any) -> Scene:
    return Scene(api, log)


def asked(fake: FakeApi) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in fake.requests.items]


def applied(request: Request) -> Any:
    assert (request.method, request.path, request.query) == ("PATCH", PATH, {"fieldManager": OURS})
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    return request.json


def test_the_object_is_applied_whole_with_its_node_as_owner(fake: FakeApi, scene: Scene) -> None:
    fake.script += [ABSENT, OK]
    scene.step()
    assert applied(fake.requests[1]) == {
        "apiVersion": "topology.node.k8s.io/v1alpha2",
        "kind": "NodeResourceTopology",
        "metadata": {
            "name": "n1",
            "labels": {MANAGED_BY: OURS},
            "annotations": {"a": "1"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-n1"}],
        },
        "zones": [{"name": "node-0", "type": "Node"}],
    }
    assert (scene.publisher.problem, scene.refused) == ("", [])


def test_without_a_change_nothing_is_asked(fake: FakeApi, scene: Scene) -> None:
    fake.script += [ABSENT, OK, stored(OURS), OK]
    scene.step()
    scene.publisher.seen(OURS)
    scene.step()
    assert len(fake.requests) == 2
    scene.wanted = OTHER
    scene.step()
    assert applied(fake.requests[3])["metadata"]["annotations"] == {"a": "2"}


def test_what_somebody_deleted_is_applied_again(fake: FakeApi, scene: Scene) -> None:
    fake.script += [ABSENT, OK, ABSENT, OK]
    scene.step()
    scene.publisher.seen(OURS)
    scene.publisher.seen(NOBODY)
    scene.publisher.step()
    assert [method for method, _ in asked(fake)] == ["GET", "PATCH", "GET", "PATCH"]


def test_an_object_of_koordlet_is_left_alone_and_that_is_reported_once(
    fake: FakeApi, scene: Scene, captured: LogCapture
) -> None:
    fake.script += [stored("Koordinator"), stored("Koordinator"), ABSENT, OK]
    assert [scene.step(), scene.step()] == [Timing().absent_s] * 2
    assert asked(fake) == [("GET", PATH)] * 2
    (problem,) = scene.refused
    assert "409: the object belongs to Koordinator" in problem
    assert scene.publisher.problem == problem
    assert [e["event"] for e in captured.entries] == ["topology_not_published"]
    scene.publisher.seen("Koordinator")
    scene.publisher.seen(NOBODY)
    scene.publisher.step()
    assert applied(fake.requests[3])
    assert scene.publisher.problem == ""


def test_a_conflict_found_by_the_server_itself_is_reported(fake: FakeApi, scene: Scene) -> None:
    fake.script += [stored(OURS), status(409, 'conflict with "koordlet": .zones')]
    assert scene.step() == Timing().absent_s
    assert "koordlet" in scene.refused[0]


def test_an_api_without_the_kind_is_reported_with_what_to_do(fake: FakeApi, scene: Scene) -> None:
    fake.script += [ABSENT, ABSENT, ABSENT, ABSENT]
    assert [scene.step(), scene.step()] == [Timing().absent_s] * 2
    (problem,) = scene.refused
    assert problem.endswith(
        "there is no kind NodeResourceTopology in topology.node.k8s.io/v1alpha2: install its CustomResourceDefinition"
    )


def test_where_nothing_is_wanted_nothing_is_asked(fake: FakeApi, scene: Scene) -> None:
    scene.wanted = None
    scene.step()
    scene.publisher.seen("Koordinator")
    scene.publisher.step()
    assert asked(fake) == []


def test_what_we_published_is_deleted_when_nothing_is_wanted_any_more(fake: FakeApi, scene: Scene) -> None:
    fake.script += [OK]
    scene.wanted = None
    scene.publisher.seen(OURS)
    scene.publisher.step()
    assert asked(fake) == [("DELETE", "/apis/topology.node.k8s.io/v1alpha1/noderesourcetopologies/n1")]


def test_while_it_is_not_known_what_is_wanted_nothing_is_asked(fake: FakeApi, scene: Scene) -> None:
    scene.known = False
    scene.publisher.seen(OURS)
    assert scene.step()
    assert asked(fake) == []


def test_an_answer_that_is_no_such_object_is_a_failure(fake: FakeApi, scene: Scene) -> None:
    fake.script += [whole(200, b"[1]")]
    assert scene.step()
    assert "expected a NodeResourceTopology" in scene.refused[0]
