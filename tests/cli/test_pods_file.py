"""Which pods a file of manifests makes."""

from __future__ import annotations

import json
import re

import pytest

from koordnri.cli.pods_file import load_pods, read_pods
from koordnri.policy import DocumentError

POD = "{kind: Pod, metadata: {name: %s}, spec: {containers: [{name: c}]}}\n"


def names(text: str) -> list[str]:
    return [f"{p.metadata.namespace}/{p.metadata.name}" for p in load_pods(text).pods]


def mistakes(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_pods(text)
    return [str(m) for m in caught.value.mistakes]


def test_one_pod() -> None:
    assert names(POD % "web") == ["default/web"]


def test_many_documents() -> None:
    assert names(f"# only a comment\n---\n{POD % 'a'}---\n{POD % 'b'}---\n") == ["default/a", "default/b"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("{}", "default/pod-1"),
        ("{name: x, namespace: shop}", "shop/x"),
        ("{generateName: web-}", "default/web-0"),
    ],
)
def test_names(metadata: str, expected: str) -> None:
    assert names(f"{{kind: Pod, metadata: {metadata}, spec: {{containers: [{{name: c}}]}}}}") == [expected]


def test_a_list_as_kubectl_prints_it() -> None:
    listed = {
        "kind": "List",
        "items": [{"kind": "Pod", "metadata": {"name": n}, "spec": {"containers": [{"name": "c"}]}} for n in "ab"],
    }
    assert names(json.dumps(listed)) == ["default/a", "default/b"]


def test_items_of_a_pod_list_need_no_kind() -> None:
    assert names("{kind: PodList, items: [{metadata: {name: a}, spec: {containers: [{name: c}]}}]}") == ["default/a"]


@pytest.mark.parametrize(
    "kind", ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"]
)
def test_a_workload_makes_one_pod_of_its_template(kind: str) -> None:
    template = "{metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}"
    (pod,) = load_pods(
        f"{{kind: {kind}, metadata: {{name: web, namespace: shop}}, spec: {{replicas: 3, template: {template}}}}}"
    ).pods
    assert (pod.metadata.namespace, pod.metadata.name, pod.metadata.labels) == ("shop", "web-0", {"app": "web"})


def test_a_cron_job() -> None:
    spec = "{jobTemplate: {spec: {template: {spec: {containers: [{name: c}]}}}}}"
    assert names(f"{{kind: CronJob, metadata: {{name: nightly}}, spec: {spec}}}") == ["default/nightly-0"]


def test_other_kinds_are_passed_over_with_a_note() -> None:
    found = load_pods(f"kind: Service\n---\n{POD % 'web'}")
    assert len(found.pods) == 1
    assert found.notes == ["document 1: Service is passed over, it makes no pods"]


def test_labels_of_namespaces_are_read_beside_the_pods() -> None:
    namespace = "{kind: Namespace, metadata: {name: shop, labels: {team: hpc}}}"
    for text in (
        f"{namespace}\n---\n{POD % 'web'}",
        f"{{kind: List, items: [{namespace}, {{kind: Pod, spec: {{containers: [{{name: c}}]}}}}]}}",
        f"{{kind: NamespaceList, items: [{{metadata: {{name: shop, labels: {{team: hpc}}}}}}]}}\n---\n{POD % 'web'}",
    ):
        found = load_pods(text)
        assert found.namespaces == {"shop": {"team": "hpc", "kubernetes.io/metadata.name": "shop"}}
        assert (len(found.pods), found.notes) == (1, [])


def test_anchors_and_merges_work_as_for_kubectl() -> None:
    (pod,) = load_pods(
        """
        kind: Pod
        spec:
          containers:
            - &base {name: a, resources: {limits: {cpu: 1}}}
            - {<<: *base, name: b}
        """
    ).pods
    assert [(c.name, c.resources.limit("cpu")) for c in pod.spec.containers] == [("a", 1000), ("b", 1000)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["expected a manifest of a Pod or of a workload, found none"]),
        (
            "{kind: Namespace, metadata: {name: shop}}",
            ["expected a manifest of a Pod or of a workload, found none"],
        ),
        (
            "{kind: Namespace, metadata: {name: Shop, labels: [a]}}",
            [
                'metadata.name: expected the name of a namespace, got "Shop"',
                'metadata.labels: expected a mapping, got ["a"]',
            ],
        ),
        (
            "kind: Service",
            ["expected a manifest of a Pod or of a workload, found none (Service is passed over, it makes no pods)"],
        ),
        ("hello", ['expected a Kubernetes manifest, got "hello"']),
        ("a: [", ["broken YAML, line 2 column 1: did not find expected node content"]),
        ("{spec: {}}", ["kind: expected a kind such as Pod, it is missing"]),
        ("kind: 3", ["kind: expected a kind such as Pod, got 3"]),
        ("kind: List", ["items: expected a list, got null"]),
        ("kind: Pod", ["spec: expected a value, it is missing"]),
        ("kind: Deployment\nspec: {}", ["spec.template: expected a mapping, got null"]),
        (
            f"{POD % 'a'}---\n{POD % 'a'}",
            ["document 2: metadata.name: a second pod default/a; the first is in document 1"],
        ),
        (
            f"{POD % 'a'}---\n{{kind: Pod, spec: {{containers: [{{name: c, resources: {{limits: {{cpu: 2x}}}}}}]}}}}",
            [
                "document 2: spec.containers[0].resources.limits.cpu: expected a quantity such as 500m, 2 or 1Gi, "
                'got "2x"'
            ],
        ),
        (
            "{kind: List, items: [{kind: Pod, metadata: {labels: {a: 1}}, spec: {containers: [{name: c}]}}]}",
            ["items[0].metadata.labels.a: expected text, got 1"],
        ),
        (
            "kind: Job\nspec: {template: {spec: {containers: []}}}",
            ["spec.template.spec.containers: expected at least one container, got none"],
        ),
        (
            '{"kind": "Pod", "metadata": {"name": "\\ud800"}, "spec": {"containers": [{"name": "c"}]}}',
            ["expected text that is Unicode, got the lone surrogate \\ud800"],
        ),
        ("{kind: Pod, kind: Pod, spec: {containers: [{name: c}]}}", ["kind: given twice"]),
        ("kind: Pod\n1: 2", ["broken YAML, line 2 column 1: expected a key that is text, got 1 (put it in quotes)"]),
    ],
)
def test_mistakes(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DocumentError, match="cannot be read: No such file or directory"):
        read_pods("/nowhere/pods.yaml")


def bomb(levels: int, of: str) -> str:
    lines = [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join([f"x0: &x0 {of}", *lines])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "broken YAML, : nested deeper than 200 levels"),
        ("- " * 1000, "broken YAML, : nested deeper than 200 levels"),
        ('{"a":' * 50_000, "broken YAML, : nested deeper than 200 levels"),
        (bomb(10, "{k: v}"), "broken YAML, : aliases (*name) repeat more than 200000 values"),
        (
            f"{bomb(10, 'v')}\nx0: &x0 w\n",
            "broken YAML, : aliases (*name) repeat more than 200000 values",
        ),
        (f"a: {'9' * 6000}", "broken YAML, : a number of thousands of digits"),
        ("kind: &a {b: *a}", "broken YAML, : found unconstructable recursive node"),
    ],
    ids=["flow", "block", "json", "bomb", "bomb-of-texts", "digits", "recursive"],
)
def test_a_few_lines_do_not_take_the_machine(text: str, expected: str) -> None:
    (reported,) = mistakes(text)
    assert re.sub(r"line \d+ column \d+", "", reported) == expected


def test_where_the_pods_are_and_which_have_ended() -> None:
    pods = [
        {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}},
        {"spec": {"nodeName": "m"}, "status": {"phase": "Succeeded"}},
        {"spec": {}, "status": {"phase": "Failed"}},
        {"spec": {"nodeName": 5}, "status": "odd"},
    ]
    for number, pod in enumerate(pods):
        pod |= {"kind": "Pod", "metadata": {"name": f"p{number}"}}
        pod["spec"] |= {"containers": [{"name": "c"}]}  # type: ignore[operator]  # a dict of dicts
    found = load_pods(json.dumps({"kind": "List", "items": pods}))
    assert found.places == [("n", False), ("m", True), ("", True), ("", False)]
