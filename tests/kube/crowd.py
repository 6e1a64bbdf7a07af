"""Pods that an API server and a runtime have, for eviction to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.model.pod import SOURCE_KEY
from tests.kube.api_server import ApiServer
from tests.kube.budgets import set_running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.kubelet import Kubelet, Pod

NODE = "lab"
"""as Daemon calls it"""


class Crowd:
    """Pods of several priorities, in the API server and in the runtime."""

    def __init__(self, plane: ApiServer, kubelet: Kubelet, namespace: str) -> None:
        self.plane, self.kubelet, self.namespace = plane, kubelet, namespace

    def run(self, name: str, qos_class: str, priority: int, command: Sequence[str] = ()) -> Pod:
        """A running pod that requests nothing; `command` is its container's."""
        from tests.e2e import pods

        priority_class = f"{self.namespace}-{name}"
        self.plane.create(
            "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": priority_class}, "value": priority}
        )
        labels = {pods.QOS_CLASS: qos_class, "app": name}
        containers = [{"name": "main", "image": "any"}]
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        spec = {"nodeName": NODE, "priorityClassName": priority_class, "containers": containers}
        made = self.plane.create(path, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        set_running(self.plane, self.namespace, name)
        uid = made["metadata"]["uid"]
        pod = self.kubelet.run_pod(
            name, namespace=self.namespace, uid=uid, qos="BestEffort", labels=labels, annotations={SOURCE_KEY: "api"}
        )
        self.kubelet.run_container(pod, command=command)
        return pod

    def leaving(self) -> set[str]:
        """Names of the pods that the API server has marked for deletion."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        return {one["metadata"]["name"] for one in items if "deletionTimestamp" in one["metadata"]}

    def events(self) -> set[tuple[str, str]]:
        """Of each Event, its pod's name and its reason."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return {(event["involvedObject"]["name"], event["reason"]) for event in items}
