"""An API server with the objects that the daemon watches: one ConfigMap, a Node, its NodeResourceTopology and its pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kmock

from tests.kube.fake_api import Answer, FakeApi, Json, Live, configmap, kmocks_path, line, listing, status

POLICY, NODES, PODS = "/api/v1/namespaces/koordnri-system/configmaps", "/api/v1/nodes", "/api/v1/pods"
NAMESPACES = "/api/v1/namespaces"
POOLS = "/apis/topology.node.k8s.io/v1alpha1/noderesourcetopologies"


def node(version: str, labels: dict[str, str], annotations: dict[str, str]) -> Json:
    metadata = {"name": "n1", "uid": "n", "resourceVersion": version, "labels": labels, "annotations": annotations}
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "status": {"allocatable": {"memory": "8Gi"}}}


def namespace(version: str, **labels: str) -> Json:
    """The namespace of `pod`."""
    metadata = {"name": "shop", "uid": "s", "resourceVersion": version, "labels": labels}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}


def topology(version: str, annotations: dict[str, str], name: str = "n1") -> Json:
    """A NodeResourceTopology."""
    metadata = {"name": name, "uid": "t", "resourceVersion": version, "annotations": annotations}
    return {
        "kind": "NodeResourceTopology",
        "apiVersion": "topology.node.k8s.io/v1alpha1",
        "metadata": metadata,
        "zones": [],
    }


def pod(version: str, annotations: dict[str, str], **more: Any) -> Json:
    """A pod of half a CPU; `more`: further keys of its spec."""
    metadata = {"name": "web", "namespace": "shop", "uid": "uid-1", "resourceVersion": version}
    spec = {"nodeName": "n1", "containers": [{"name": "main", "resources": {"limits": {"cpu": "500m"}}}], **more}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {**metadata, "annotations": annotations}, "spec": spec}


class Cluster(FakeApi):
    """Lists and watches by path; what is sent to `live` reaches the watch that is open. There are no NodeResourceTopologies."""

    def __init__(self) -> None:
        super().__init__()
        self.live = {path: Live() for path in (POLICY, NODES, POOLS, PODS, NAMESPACES)}
        self.lists: dict[str, Answer] = {
            POLICY: listing("ConfigMap", "1", configmap("1", {})),
            NODES: listing("Node", "1", node("1", {}, {})),
            POOLS: status(404, "the server could not find the requested resource"),
            PODS: listing("Pod", "1"),
            NAMESPACES: listing("Namespace", "1", namespace("1")),
        }

    def __enter__(self) -> Cluster:
        super().__enter__()
        for path in self.lists:
            self._serve(path)
        return self

    def _serve(self, path: str) -> None:
        def asks(watch: str | None) -> Callable[[kmock.Request], bool]:
            return lambda request: request.url.path == kmocks_path(path) and request.params.get("watch") == watch

        self.answer(lambda handler: handler[asks("1")], self.live[path])
        self.answer(lambda handler: handler[asks(None)], lambda: self.lists[path])

    def send(self, path: str, kind: str, item: Json) -> None:
        self.live[path].send(line(kind, item))
