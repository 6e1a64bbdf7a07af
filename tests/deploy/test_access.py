"""What the manifests let the daemon ask of the API server: all that it asks, and nothing else; and nothing at all without access."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
import yaml
from structlog.testing import LogCapture

from koordnri.kube import ConfigMapWatch, EventRecorder, NodeWatch, PodWatch, connect, node_target, pod_target
from koordnri.kube.events import EventLimits

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
LIMIT_S = 20.0

POLICY_RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
CLUSTER_RULES = [
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]


def rendered(helm: Helm, *arguments: str) -> dict[str, Manifest]:
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    return {m["kind"]: m for m in yaml.safe_load_all(done.stdout) if m}


def rbac_kinds(objects: dict[str, Manifest]) -> set[str]:
    return {kind for kind, m in objects.items() if m["apiVersion"].startswith("rbac.")}


def pod_spec(objects: dict[str, Manifest]) -> Manifest:
    spec: Manifest = objects["DaemonSet"]["spec"]["template"]["spec"]
    return spec


def policy_configmap(objects: dict[str, Manifest]) -> tuple[str, str]:
    """Namespace and name in --policy-configmap."""
    (container,) = pod_spec(objects)["containers"]
    (value,) = [a.partition("=")[2] for a in container["args"] if a.startswith("--policy-configmap=")]
    namespace, _, name = value.partition("/")
    return namespace, name


@pytest.fixture(params=["deploy", "deploy/koordinator", "chart", "chart, foreign ConfigMap"])
def with_access(request: pytest.FixtureRequest, helm: Helm) -> dict[str, Manifest]:
    match request.param:
        case "deploy":
            objects = request.getfixturevalue("kustomized")
        case "deploy/koordinator":
            objects = request.getfixturevalue("kustomized_koordinator")
        case "chart":
            objects = rendered(helm)
        case _:
            objects = rendered(helm, "--set=apiAccess.policyConfigMap=team-a/qos.policy")
    assert isinstance(objects, dict)
    return objects


@pytest.fixture(params=["deploy/base", "chart"])
def without_access(request: pytest.FixtureRequest, helm: Helm) -> dict[str, Manifest]:
    if request.param == "chart":
        return rendered(helm, "--set=apiAccess.enabled=false")
    objects = request.getfixturevalue("kustomized_base")
    assert isinstance(objects, dict)
    return objects


def test_the_rights_are_these_and_no_others(with_access: dict[str, Manifest]) -> None:
    namespace, name = policy_configmap(with_access)
    assert rbac_kinds(with_access) == {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    assert with_access["Role"]["rules"] == [{**POLICY_RULE, "resourceNames": [name]}]
    assert with_access["Role"]["metadata"]["namespace"] == namespace
    assert with_access["ClusterRole"]["rules"] == CLUSTER_RULES
    assert "aggregationRule" not in with_access["ClusterRole"]


@pytest.mark.parametrize("role", ["Role", "ClusterRole"])
def test_only_our_service_account_has_them(with_access: dict[str, Manifest], role: str) -> None:
    binding, account = with_access[f"{role}Binding"], with_access["ServiceAccount"]["metadata"]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role,
        "name": with_access[role]["metadata"]["name"],
    }
    assert binding["metadata"].get("namespace") == with_access[role]["metadata"].get("namespace")
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    assert binding["subjects"] == [subject]
    assert pod_spec(with_access)["serviceAccountName"] == account["name"]


def test_the_daemons_pods_get_the_token_and_no_others(with_access: dict[str, Manifest]) -> None:
    assert pod_spec(with_access)["automountServiceAccountToken"] is True
    assert with_access["ServiceAccount"]["automountServiceAccountToken"] is False


def test_the_daemon_knows_its_node(with_access: dict[str, Manifest]) -> None:
    (container,) = pod_spec(with_access)["containers"]
    assert {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in container["env"]


def test_no_policy_is_mounted_beside_the_one_that_is_watched(with_access: dict[str, Manifest]) -> None:
    (container,) = pod_spec(with_access)["containers"]
    assert not [a for a in container["args"] if a.startswith("--policy-file")]
    assert "policy" not in {m["name"] for m in container["volumeMounts"]}
    assert not [v for v in pod_spec(with_access)["volumes"] if "configMap" in v]


def test_the_config_map_watched_is_ours_or_somebody_elses(with_access: dict[str, Manifest]) -> None:
    ours = with_access.get("ConfigMap")
    watched = policy_configmap(with_access)
    if ours is None:
        assert watched in {("koordinator-system", "slo-controller-config"), ("team-a", "qos.policy")}
    else:
        assert watched == (ours["metadata"]["namespace"], ours["metadata"]["name"])


def test_without_access_there_is_no_token_and_no_right(without_access: dict[str, Manifest]) -> None:
    assert rbac_kinds(without_access) == set()
    assert pod_spec(without_access)["automountServiceAccountToken"] is False
    assert without_access["ServiceAccount"]["automountServiceAccountToken"] is False
    (container,) = pod_spec(without_access)["containers"]
    assert not [a for a in container["args"] if a.startswith(("--policy-configmap", "--kubeconfig"))]


# -- what the daemon really asks ----------------------------------------------------------------------------------------


class Request(NamedTuple):
    """As the API server's authorizer sees it: RequestInfoFactory in k8s.io/apiserver."""

    verb: str
    resource: str
    namespace: str
    name: str


def request_of(method: str, url: str) -> Request:
    split = urlsplit(url)
    query = {key: values[0] for key, values in parse_qs(split.query).items()}
    parts = split.path.removeprefix("/api/v1/").split("/")
    namespace = parts[1] if parts[0] == "namespaces" else ""
    resource, *name = parts[2:] if namespace else parts
    verb = {"POST": "create", "PATCH": "patch", "GET": "get" if name else "list"}[method]
    if verb == "list":
        # A list or watch of one name counts as a request for that name.
        key, _, value = query.get("fieldSelector", "").partition("=")
        name = [value] if key == "metadata.name" else []
        verb = "watch" if query.get("watch") in {"1", "true"} else verb
    return Request(verb, resource, namespace, "".join(name))


def allowed(objects: dict[str, Manifest], request: Request) -> bool:
    def grants(rule: Manifest) -> bool:
        names = rule.get("resourceNames")
        return (
            request.verb in rule["verbs"]
            and request.resource in rule["resources"]
            and (names is None or request.name in names)
        )

    role = objects["Role"]
    local = role["rules"] if request.namespace == role["metadata"]["namespace"] else []
    return any(grants(rule) for rule in (*local, *objects["ClusterRole"]["rules"]))


class ApiServer(ThreadingHTTPServer):
    """Notes what is asked. Lists are empty, watches silent, Events welcome."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: set[Request] = set()
        self.changed = threading.Condition()
        self.closing = threading.Event()

    def until(self, verb: str, resource: str, namespace: str | None = None) -> None:
        def met() -> bool:
            return any((r.verb, r.resource) == (verb, resource) and namespace in (None, r.namespace) for r in self.seen)

        with self.changed:
            assert self.changed.wait_for(met, LIMIT_S), f"no {verb} of {resource}, only {self.seen}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, ApiServer)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = request_of(self.command, self.path)
        with server.changed:
            server.seen.add(request)
            server.changed.notify_all()
        kind = {"configmaps": "ConfigMapList", "nodes": "NodeList", "pods": "PodList"}.get(request.resource, "Event")
        body = json.dumps(
            {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
        ).encode()
        self.send_response(201 if request.verb == "create" else 200)
        self.send_header("Content-Type", "application/json")
        if request.verb == "watch":
            self.send_header("Connection", "close")
            self.end_headers()
            server.closing.wait(LIMIT_S)
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def asked(server: ApiServer, configmap: tuple[str, str], folder: Path) -> set[Request]:
    """All that koordnri.kube asks when everything it has is used."""
    kubeconfig = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "t"}}]
    said = {"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [cluster], "contexts": [context]}
    kubeconfig.write_text(yaml.safe_dump({**said, "users": users}))
    api, log = connect(kubeconfig), structlog.wrap_logger(None, processors=[LogCapture()])
    watches = [
        ConfigMapWatch(api, *configmap, lambda data, version: None, log).watch,
        NodeWatch(api, "node-1", lambda facts: None, log).watch,
        PodWatch(api, "node-1", lambda facts: None, lambda uid: None, log).watch,
    ]
    events = EventRecorder(api, "node-1", log, limits=EventLimits(repeat_s=0.0))
    for watch in watches:
        watch.start()
    events.start()
    try:
        for resource in ("configmaps", "nodes", "pods"):
            server.until("list", resource)
            server.until("watch", resource)
        for target, namespace in ((node_target("node-1"), "default"), (pod_target("shop", "web", "uid"), "shop")):
            events.record(target, "Tested", "once")
            server.until("create", "events", namespace)
            events.record(target, "Tested", "and once more: the count of the first grows")
            server.until("patch", "events", namespace)
    finally:
        for watch in watches:
            watch.stop()
        events.stop()
    return server.seen


def test_every_request_of_the_daemon_is_allowed_and_every_right_is_used(
    api_server: ApiServer, with_access: dict[str, Manifest], tmp_path: Path
) -> None:
    requests = asked(api_server, policy_configmap(with_access), tmp_path)
    assert [r for r in requests if not allowed(with_access, r)] == []
    rules = with_access["Role"]["rules"] + with_access["ClusterRole"]["rules"]
    granted = {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}
    # `get` shows nothing that `list` does not.
    assert {(verb, resource) for verb, resource in granted if verb != "get"} == {(r.verb, r.resource) for r in requests}


@pytest.mark.parametrize(
    "request_",
    [
        Request("list", "configmaps", "koordnri-system", ""),
        Request("list", "configmaps", "koordnri-system", "another"),
        Request("list", "configmaps", "default", "koordnri-policy"),
        Request("patch", "configmaps", "koordnri-system", "koordnri-policy"),
        Request("list", "secrets", "koordnri-system", ""),
        Request("patch", "nodes", "", "node-1"),
        Request("patch", "pods", "shop", "web"),
        Request("list", "events", "", ""),
    ],
)
def test_other_requests_are_refused(kustomized: dict[str, Manifest], request_: Request) -> None:
    assert not allowed(kustomized, request_)
