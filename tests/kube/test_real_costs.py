"""What `koordnri bench --part fleet` takes for the size of answers, compared with a real API server's.

Bookmarks are left out: a server sends the first after a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from koordnri.cli.bench.fleet import costs
from koordnri.cli.bench.fleet.costs import Kind
from koordnri.kube import Api
from tests.kube import usual
from tests.kube.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.full]

NEAR = 0.1
"""the largest difference, as a share"""


class Cluster:
    """A node with as many pods as it may have, and a policy."""

    def __init__(self, plane: ControlPlane, api: Api, namespace: str) -> None:
        self.plane = plane
        self.node = f"node-of-{namespace}"
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.configmaps = f"/api/v1/namespaces/{namespace}/configmaps"
        self._api = api
        usual.fill(plane, namespace, self.node, usual.PODS)
        plane.create(self.configmaps, {"metadata": {"name": "koordnri-policy"}, "data": usual.policy()})
        self.where = {
            costs.CONFIGMAP: (self.configmaps, "metadata.name=koordnri-policy"),
            costs.NODE: ("/api/v1/nodes", f"metadata.name={self.node}"),
            costs.PODS: ("/api/v1/pods", f"spec.nodeName={self.node}"),
        }

    def list_bytes(self, kind: Kind) -> tuple[int, str]:
        """Bytes of the list's body as they came, and its resourceVersion."""
        path, selector = self.where[kind]
        query = {"fieldSelector": selector, "resourceVersion": "0", "limit": "500"}
        with self._api.open("GET", path, query) as reply:
            sent = len(reply._response.read(decode_content=False))
        with self._api.open("GET", path, query) as reply:
            version: str = json.loads(reply.read(1 << 30))["metadata"]["resourceVersion"]
        return sent, version

    def lines(self, kind: Kind, version: str) -> Iterator[tuple[str, int]]:
        """(type, bytes) of the lines of a watch of two seconds."""
        path, selector = self.where[kind]
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": "2"}
        with self._api.open("GET", path, {**query, "fieldSelector": selector}) as reply:
            for line in b"".join(reply.chunks()).splitlines(keepends=True):
                yield json.loads(line)["type"], len(line)


@pytest.fixture
def cluster(plane: ControlPlane, real_api: Api, namespace: str) -> Iterator[Cluster]:
    it = Cluster(plane, real_api, namespace)
    yield it
    for number in range(usual.PODS):
        plane.delete(f"{it.pods}/service-{number}")
    plane.delete(f"/api/v1/nodes/{it.node}")


def near(bytes_: int, assumed: int) -> bool:
    return abs(bytes_ - assumed) <= NEAR * assumed


def test_the_sizes_of_lists_and_events(cluster: Cluster) -> None:
    changes = {
        costs.CONFIGMAP: (f"{cluster.configmaps}/koordnri-policy", {"metadata": {"labels": {"a": "b"}}}),
        costs.NODE: (f"/api/v1/nodes/{cluster.node}", {"metadata": {"labels": {"a": "b"}}}),
        costs.PODS: (f"{cluster.pods}/service-7", {"metadata": {"labels": {"a": "b"}}}),
    }
    for kind, (path, body) in changes.items():
        sent, version = cluster.list_bytes(kind)
        assert near(sent, kind.list_bytes), (kind.noun, "list", sent)
        cluster.plane.patch(path, body)
        lines = dict(cluster.lines(kind, version))
        assert near(lines["MODIFIED"], kind.event_bytes), (kind.noun, "event", lines)


def test_a_list_of_pods_comes_compressed(cluster: Cluster) -> None:
    sent, _ = cluster.list_bytes(costs.PODS)
    path, selector = cluster.where[costs.PODS]
    with cluster._api.open("GET", path, {"fieldSelector": selector, "resourceVersion": "0"}) as reply:
        assert len(reply.read(1 << 30)) > 8 * sent
