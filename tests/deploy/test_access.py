"""What the manifests let the daemon ask of the API server; and nothing at all without access.

That these rights suffice and are all used, a real API server shows in tests/kube/test_real_apiserver.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from koordnri.cli.verify_rights import NAMESPACE

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
_OF_HELM = ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "app.kubernetes.io/version")

POLICY_RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
CLUSTER_RULES = [
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["topology.node.k8s.io"], "resources": ["noderesourcetopologies"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["resource.k8s.io"], "resources": ["resourceclaims"], "verbs": ["get"]},
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


def test_nodes_may_be_patched_only_where_they_are_annotated(
    kustomized: dict[str, Manifest], kustomized_annotation: dict[str, Manifest], helm: Helm
) -> None:
    annotating = [
        {**rule, "verbs": [*rule["verbs"], "patch"]} if rule["resources"] == ["nodes"] else rule
        for rule in CLUSTER_RULES
    ]
    for objects in (kustomized_annotation, rendered(helm, "--set=apiAccess.annotateNode=true")):
        assert objects["ClusterRole"]["rules"] == annotating
        assert "--annotate-node" in pod_spec(objects)["containers"][0]["args"]
    assert "--annotate-node" not in pod_spec(kustomized)["containers"][0]["args"]
    without = rendered(helm, "--set=apiAccess.enabled=false,apiAccess.annotateNode=true")
    assert "ClusterRole" not in without
    assert "--annotate-node" not in pod_spec(without)["containers"][0]["args"]


def test_topologies_may_be_written_only_where_they_are_published(
    kustomized_topology: dict[str, Manifest], helm: Helm
) -> None:
    publishing = [
        {**rule, "verbs": [*rule["verbs"], "create", "patch", "delete"]}
        if rule["resources"] == ["noderesourcetopologies"]
        else rule
        for rule in CLUSTER_RULES
    ]
    for objects in (kustomized_topology, rendered(helm, "--set=apiAccess.publishTopology=true")):
        assert objects["ClusterRole"]["rules"] == publishing
    without = rendered(helm, "--set=apiAccess.enabled=false,apiAccess.publishTopology=true")
    assert "ClusterRole" not in without


def test_namespaces_may_be_watched_only_where_trust_rules_select_by_their_labels(
    kustomized_namespaces: dict[str, Manifest], helm: Helm
) -> None:
    watching = [*CLUSTER_RULES, {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]}]
    for objects in (kustomized_namespaces, rendered(helm, "--set=apiAccess.watchNamespaces=true")):
        assert objects["ClusterRole"]["rules"] == watching
    without = rendered(helm, "--set=apiAccess.enabled=false,apiAccess.watchNamespaces=true")
    assert "ClusterRole" not in without


def test_pods_may_be_evicted_only_where_that_was_asked_for(
    kustomized_eviction: dict[str, Manifest], helm: Helm
) -> None:
    evicting = [*CLUSTER_RULES, {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]}]
    for objects in (kustomized_eviction, rendered(helm, "--set=apiAccess.evictPods=true")):
        assert objects["ClusterRole"]["rules"] == evicting
    without = rendered(helm, "--set=apiAccess.enabled=false,apiAccess.evictPods=true")
    assert "ClusterRole" not in without


def added_by_verify(helm: Helm) -> list[Manifest]:
    """What the chart's apiAccess.verify adds, without the labels that Helm wants."""
    done = helm("template", "--set=apiAccess.verify=true")
    assert done.returncode == 0, done.stderr
    before = list(yaml.safe_load_all(helm("template").stdout))
    added = [m for m in yaml.safe_load_all(done.stdout) if m and m not in before]
    for manifest in added:
        labels = manifest["metadata"]["labels"]
        manifest["metadata"]["labels"] = {k: v for k, v in labels.items() if not k.startswith(("helm.sh/", *_OF_HELM))}
    return added


def check_verify(added: list[Manifest]) -> None:
    namespace, role, binding = sorted(added, key=lambda m: ["Namespace", "Role", "RoleBinding"].index(m["kind"]))
    assert namespace["metadata"]["name"] == NAMESPACE
    # So that the right to create pods there is no power over a node.
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "delete"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "koordnri", "namespace": "koordnri-system"}]


def test_verify_may_use_pods_in_a_namespace_without_privileges(kustomized_verify: list[Manifest]) -> None:
    check_verify(kustomized_verify)


def test_so_it_may_by_the_chart(kustomized_verify: list[Manifest], helm: Helm) -> None:
    added = added_by_verify(helm)
    check_verify(added)
    assert sorted(map(str, added)) == sorted(map(str, kustomized_verify))
    without = helm("template", "--set=apiAccess.enabled=false,apiAccess.verify=true")
    assert NAMESPACE not in without.stdout


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
