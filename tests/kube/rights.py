"""What deploy/ gives the daemon in an API server, and the ConfigMap that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.e2e import lab
from tests.kube.api_server import ApiServer, Json, RefusedError

RBAC = "/apis/rbac.authorization.k8s.io/v1"
_RBAC_PATHS = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "Role": f"{RBAC}/namespaces/{{}}/roles",
    "RoleBinding": f"{RBAC}/namespaces/{{}}/rolebindings",
}


def grant(plane: ApiServer, component: str) -> list[Json]:
    """Create the roles and bindings of a component of deploy/, and its namespace. Returns the roles and bindings."""
    granted = []
    for path in sorted((lab.ROOT / "deploy" / component).glob("*.yaml")):
        manifest = yaml.safe_load(path.read_text())
        if manifest["kind"] == "Namespace":
            plane.create("/api/v1/namespaces", manifest)
        elif manifest["kind"] in _RBAC_PATHS:
            plane.create(_RBAC_PATHS[manifest["kind"]].format(manifest["metadata"].get("namespace")), manifest)
            granted.append(manifest)
    return granted


class Deployed:
    """The roles and bindings of deploy/, as they hold for the token DAEMON, and the ConfigMap that they are for."""

    def __init__(self, plane: ApiServer) -> None:
        self._plane = plane
        plane.create("/api/v1/namespaces", {"metadata": {"name": "koordnri-system"}})
        self.manifests = grant(plane, "api-access")
        (role,) = [manifest for manifest in self.manifests if manifest["kind"] == "Role"]
        ((name,),) = [rule["resourceNames"] for rule in role["rules"]]
        self.policy: tuple[str, str] = (role["metadata"]["namespace"], name)
        """namespace and name"""

    def write_policy(self, data: dict[str, str]) -> None:
        """The ConfigMap has these data from now on and no others."""
        namespace, name = self.policy
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        body = {"metadata": {"name": name}, "data": data}
        try:
            self._plane.call("PUT", f"{collection}/{name}", body)
        except RefusedError as error:
            if error.code != 404:
                raise
            self._plane.create(collection, body)

    @contextmanager
    def extended(self, component: str) -> Iterator[None]:
        """The daemon's role is meanwhile as this component of deploy/ makes it."""
        (role,) = [manifest for manifest in self.manifests if manifest["kind"] == "ClusterRole"]
        patches = yaml.safe_load((lab.ROOT / "deploy" / component / "kustomization.yaml").read_text())["patches"]
        path = f"{RBAC}/clusterroles/{role['metadata']['name']}"
        self._plane.call("PATCH", path, yaml.safe_load(patches[0]["patch"]), patch="json-patch")
        try:
            yield
        finally:
            self._plane.patch(path, {"rules": role["rules"]})
