"""NodeResourceTopologies in a real API server: published with the rights of deploy/topology, never beside somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from koordnri.kube import Api, NodeTopology, PoolsWatch, Timing, TopologyPublisher, connect
from koordnri.kube.topology_object import MANAGED_BY, OURS
from koordnri.kube.topology_shapes import Described, for_koordinator, zones
from koordnri.model import NodeState
from koordnri.model.node_annotations import LS_POOLS_KEY
from koordnri.model.topology import Topology
from tests.e2e import lab
from tests.kube.api_server import DAEMON, STRANGER, Json, RefusedError
from tests.kube.control_plane import ControlPlane
from tests.kube.fake_api import LIMIT_S, Seen
from tests.kube.rights import RBAC, Deployed
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.full]

GROUP = "/apis/topology.node.k8s.io"
CRDS, CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "noderesourcetopologies.topology.node.k8s.io"
QUICK = Timing(first_pause_s=0.05, longest_pause_s=0.2, resume_spread_s=0.2, relist_spread_s=0.1, absent_s=0.2)
TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
AMOUNT = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


def objects(required: list[str], **properties: Json) -> Json:
    """A list of objects."""
    return {"type": "array", "items": {"type": "object", "required": required, "properties": properties}}


PAIRS = objects(["name", "value"], name=TEXT, value=TEXT)
AMOUNTS = dict.fromkeys(("capacity", "allocatable", "available"), AMOUNT)
ZONES = objects(
    ["name", "type"],
    name=TEXT,
    type=TEXT,
    parent=TEXT,
    attributes=PAIRS,
    costs=objects(["name", "value"], name=TEXT, value={"type": "integer"}),
    resources=objects(["name", *AMOUNTS], name=TEXT, **AMOUNTS),
)


def version(name: str, required: list[str], *, storage: bool, **more: Json) -> Json:
    properties = {
        "apiVersion": TEXT,
        "kind": TEXT,
        "metadata": {"type": "object"},
        "topologyPolicies": TEXTS,
        "zones": ZONES,
    }
    schema = {"type": "object", "required": required, "properties": properties | more}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}


def definition() -> Json:
    """The kind with both versions, as scheduler-plugins defines it."""
    names = {"kind": "NodeResourceTopology", "plural": "noderesourcetopologies", "singular": "noderesourcetopology"}
    versions = [
        version("v1alpha1", ["topologyPolicies", "zones"], storage=False),
        version("v1alpha2", ["zones"], storage=True, attributes=PAIRS),
    ]
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements/pull/1870"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD, "annotations": approved},
        "spec": {"group": "topology.node.k8s.io", "scope": "Cluster", "names": names, "versions": versions},
    }


def path(node: str, version: str = "v1alpha2") -> str:
    return f"{GROUP}/{version}/noderesourcetopologies/{node}"


def found(plane: ControlPlane, node: str, version: str = "v1alpha2") -> Json | None:
    try:
        return plane.call("GET", path(node, version))
    except RefusedError as error:
        if error.code != 404:
            raise
        return None


@pytest.fixture(scope="module")
def kind(plane: ControlPlane) -> Iterator[None]:
    """The kind is defined, and nobody else's definition of it."""

    def served(wanted: bool) -> bool:
        try:
            plane.call("GET", f"{GROUP}/v1alpha2/noderesourcetopologies")
        except RefusedError:
            return not wanted
        return wanted

    def undefine() -> None:
        # The API server serves a kind no longer before its definition is gone, and refuses a new one until then.
        def gone() -> bool:
            try:
                plane.delete(f"{CRDS}/{CRD}")
            except RefusedError as error:
                return error.code == 404
            return False

        eventually(gone, "the kind's definition gone")

    undefine()
    plane.create(CRDS, definition())
    eventually(lambda: served(True), "the kind served")
    yield
    undefine()


@pytest.fixture(scope="module")
def rights(plane: ControlPlane, deployed: Deployed) -> Iterator[None]:
    """The daemon's role as the component deploy/topology makes it."""
    (role,) = [manifest for manifest in deployed.manifests if manifest["kind"] == "ClusterRole"]
    component = yaml.safe_load((lab.ROOT / "deploy/topology/kustomization.yaml").read_text())
    patch = yaml.safe_load(component["patches"][0]["patch"])
    plane.call("PATCH", f"{RBAC}/clusterroles/{role['metadata']['name']}", patch, patch="json-patch")
    yield
    plane.patch(f"{RBAC}/clusterroles/{role['metadata']['name']}", {"rules": role["rules"]})


@pytest.fixture
def node(plane: ControlPlane, namespace: str) -> str:
    plane.create("/api/v1/nodes", {"metadata": {"name": namespace}})
    return namespace


NODE = NodeState(topology=Topology.regular(1, 2, 2, 1), cpu_model="Fast CPU")


def described(uid: str, memory: int) -> Described:
    """A node with two NUMA nodes of two CPUs; `memory` is that of the first one."""
    topology = NODE.topology
    assert topology is not None
    online, distances = topology.online, {0: (10, 21), 1: (21, 10)}
    return Described(NODE, uid, topology, online, online, (), {0: {"memory": memory}}, distances)


class Publishing:
    """A publisher and the watch of the same object, with the daemon's token; `wanted` is what it is to publish."""

    def __init__(self, api: Api, node: str, wanted: NodeTopology | None, log: Any) -> None:
        self.wanted = wanted
        self.refused: Seen[str] = Seen()
        self.pools: Seen[object] = Seen()
        self.deaths: list[BaseException] = []
        self.publisher = TopologyPublisher(
            api, node, lambda: self.wanted, self.refused.append, log, self.deaths.append, timing=QUICK, settle_s=0.0
        )
        self._watch = PoolsWatch(api, node, self.pools.append, log, self.publisher.seen, timing=QUICK).watch

    def start(self) -> None:
        self.publisher.start()
        self._watch.start()
        self.publisher.changed()

    def publish(self, wanted: NodeTopology | None) -> None:
        self.wanted = wanted
        self.publisher.changed()

    def stop(self) -> None:
        self.publisher.stop(LIMIT_S)
        self._watch.stop(LIMIT_S)
        assert self.deaths == []


@pytest.fixture
def publish(
    plane: ControlPlane, rights: None, node: str, log: Any, tmp_path: Path
) -> Iterator[Callable[[NodeTopology | None], Publishing]]:
    started: list[Publishing] = []

    def start(wanted: NodeTopology | None) -> Publishing:
        it = Publishing(connect(plane.kubeconfig(tmp_path, DAEMON)), node, wanted, log)
        started.append(it)
        it.start()
        return it

    yield start
    for it in started:
        it.stop()


def uid_of(plane: ControlPlane, node: str) -> str:
    return str(plane.call("GET", f"/api/v1/nodes/{node}")["metadata"]["uid"])


def memory_of(item: Json | None) -> str:
    """That of the first NUMA node, of what is there."""
    resources = {} if item is None else {one["name"]: one for one in item["zones"][0]["resources"]}
    return str(resources["memory"]["capacity"]) if "memory" in resources else ""


def has_memory(plane: ControlPlane, node: str, memory: str) -> Json:
    """The object, once its memory is this."""
    item = eventually(lambda: one if memory_of(one := found(plane, node)) == memory else None, f"memory {memory}")
    assert item is not None
    return item


def test_zones_are_published_changed_and_withdrawn(
    plane: ControlPlane, kind: None, node: str, publish: Callable[[NodeTopology | None], Publishing]
) -> None:
    uid = uid_of(plane, node)
    it = publish(zones(described(uid, 8)))
    item = has_memory(plane, node, "8")
    assert item["metadata"]["labels"] == {MANAGED_BY: OURS}
    assert [owner["uid"] for owner in item["metadata"]["ownerReferences"]] == [uid]
    assert [entry["manager"] for entry in item["metadata"]["managedFields"]] == [OURS]
    assert [zone["name"] for zone in item["zones"]] == ["node-0", "node-1"]
    assert item["zones"][0]["costs"] == [{"name": "node-0", "value": 10}, {"name": "node-1", "value": 21}]
    assert item["attributes"][0] == {"name": "topologyManagerPolicy", "value": "none"}

    it.publish(zones(described(uid, 9)))
    has_memory(plane, node, "9")
    plane.delete(path(node))
    has_memory(plane, node, "9")

    it.publish(for_koordinator(described(uid, 9)))
    item = eventually(
        lambda: one if (one := found(plane, node, "v1alpha1")) and one.get("topologyPolicies") else None, "policies"
    )
    assert item is not None
    assert '"cpuset":"0-1"' in item["metadata"]["annotations"][LS_POOLS_KEY]
    assert "attributes" not in (found(plane, node) or {})

    it.publish(None)
    eventually(lambda: found(plane, node) is None, "it gone")
    assert it.pools.items == [{}], "own pools are not read back"
    assert it.refused.items == []


def test_an_object_of_koordlet_is_left_alone_until_it_is_gone(
    plane: ControlPlane, kind: None, node: str, publish: Callable[[NodeTopology | None], Publishing]
) -> None:
    theirs = {
        "apiVersion": "topology.node.k8s.io/v1alpha1",
        "kind": "NodeResourceTopology",
        "metadata": {"name": node, "labels": {MANAGED_BY: "Koordinator"}, "annotations": {LS_POOLS_KEY: "[]"}},
        "topologyPolicies": ["None"],
        "zones": [],
    }
    plane.create(f"{GROUP}/v1alpha1/noderesourcetopologies?fieldManager=koordlet", theirs)
    before = found(plane, node)
    it = publish(zones(described(uid_of(plane, node), 8)))
    assert "belongs to Koordinator" in it.refused.wait(1)[0]
    assert it.pools.wait(1)[-1] == {LS_POOLS_KEY: "[]"}
    assert found(plane, node) == before
    plane.delete(path(node))
    has_memory(plane, node, "8")
    assert len(it.refused) == 1


def test_where_koordlet_takes_the_object_over_nothing_more_is_published(
    plane: ControlPlane, kind: None, node: str, publish: Callable[[NodeTopology | None], Publishing]
) -> None:
    uid = uid_of(plane, node)
    it = publish(for_koordinator(described(uid, 8)))
    has_memory(plane, node, "8")
    item = found(plane, node, "v1alpha1")
    assert item is not None
    item["metadata"]["annotations"][LS_POOLS_KEY] = '[{"socket":0,"node":0,"cpuset":"1"}]'
    plane.call("PUT", f"{path(node, 'v1alpha1')}?fieldManager=koordlet", item)
    assert it.pools.wait(2)[-1] == {LS_POOLS_KEY: '[{"socket":0,"node":0,"cpuset":"1"}]'}
    it.publish(for_koordinator(described(uid, 9)))
    assert "belongs to koordlet" in it.refused.wait(1)[0]
    assert memory_of(found(plane, node)) == "8"


def test_without_the_kind_that_is_reported_once_and_mended_when_it_comes(
    plane: ControlPlane, kind: None, node: str, publish: Callable[[NodeTopology | None], Publishing]
) -> None:
    missing = zones(described(uid_of(plane, node), 8))._replace(version="v1alpha9")
    it = publish(missing)
    assert "install its CustomResourceDefinition" in it.refused.wait(1)[0]
    it.publish(missing._replace(version="v1alpha2"))
    has_memory(plane, node, "8")
    assert len(it.refused) == 1


def test_without_the_rights_nothing_is_published_and_that_is_reported(
    plane: ControlPlane, kind: None, node: str, log: Any, tmp_path: Path
) -> None:
    it = Publishing(connect(plane.kubeconfig(tmp_path, STRANGER)), node, zones(described("u", 8)), log)
    it.start()
    try:
        assert "403" in it.refused.wait(1)[0]
    finally:
        it.stop()
