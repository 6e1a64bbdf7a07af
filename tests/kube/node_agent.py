"""The part of kubelet that the laboratory has none of: runs the pods that the API server has for a node, and reports their phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.model import quantity_milli, quantity_value
from tests.kube.api_server import ApiServer, Json

if TYPE_CHECKING:
    from tests.e2e.kubelet import Kubelet, Pod


class NodeAgent:
    """Of one node and one namespace. Call `step` again and again."""

    def __init__(self, plane: ApiServer, kubelet: Kubelet, node: str, namespace: str) -> None:
        self._plane = plane
        self._kubelet = kubelet
        self._node = node
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._running: dict[str, Pod] = {}
        self.seen: list[Json] = []
        """pods as they were when they were run"""

    def step(self) -> None:
        """Run new pods, and end those that are being deleted."""
        for pod in self._plane.call("GET", self._pods)["items"]:
            metadata = pod["metadata"]
            if "deletionTimestamp" in metadata:
                if (it := self._running.pop(metadata["uid"], None)) is not None:
                    self._kubelet.end_pod(it)
                self._plane.delete(f"{self._pods}/{metadata['name']}")
            elif metadata["uid"] not in self._running and pod["spec"].get("nodeName") == self._node:
                self.seen.append(pod)
                self._running[metadata["uid"]] = self._run(pod)
                self._plane.patch(f"{self._pods}/{metadata['name']}/status", {"status": {"phase": "Running"}})

    def _run(self, pod: Json) -> Pod:
        metadata, (container,) = pod["metadata"], pod["spec"]["containers"]
        requests, limits = (container["resources"].get(kind, {}) for kind in ("requests", "limits"))
        asked = {
            "cpu_request_m": quantity_milli(requests.get("cpu", 0)),
            "cpu_limit_m": quantity_milli(limits.get("cpu", 0)),
            "memory_limit": quantity_value(limits.get("memory", 0)),
        }
        it = self._kubelet.run_pod(
            metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            labels=metadata["labels"],
            annotations=metadata.get("annotations", {}),
            qos="BestEffort" if not requests else "Guaranteed" if requests == limits else "Burstable",
            **asked,
        )
        self._kubelet.run_container(it, container["name"], **asked)
        return it
