"""PodDisruptionBudgets. There is no controller-manager, which would compute how many disruptions one allows: its status is written here."""

from __future__ import annotations

from tests.kube.api_server import ApiServer


def budget(plane: ApiServer, namespace: str, app: str, allowed: int) -> None:
    """A budget for the running pod with this label `app`, and the status that the controller would write."""
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}}
    plane.create(path, {"metadata": {"name": app}, "spec": spec})
    status = {
        "disruptionsAllowed": allowed,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
        "observedGeneration": 1,
    }
    plane.patch(f"{path}/{app}/status", {"status": status})


def set_running(plane: ApiServer, namespace: str, name: str) -> None:
    """As kubelet says of a pod that runs. A budget does not protect one that has not started."""
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    plane.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": ready})
