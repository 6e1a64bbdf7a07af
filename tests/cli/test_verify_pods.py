"""The pods of `koordnri verify`: admitted everywhere, and ended by kubelet should nobody delete them."""

from __future__ import annotations

import json

import kubernetes_validate
import pytest

from koordnri.cli.verify_pods import SAMPLES, Placement, manifest

PLACE = Placement("run", "n", "node", "image", 120)
PODS = [manifest(sample, PLACE) for sample in SAMPLES]


@pytest.mark.parametrize("version", ["1.25", kubernetes_validate.latest_version()])
def test_the_pods_are_valid(version: str) -> None:
    for pod in PODS:
        kubernetes_validate.validate(pod, version, strict=True)


def test_they_fit_pod_securitys_level_restricted() -> None:
    for pod in PODS:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert container["securityContext"] == security


def test_they_get_no_token_and_end_by_themselves() -> None:
    for pod in PODS:
        assert not pod["spec"]["automountServiceAccountToken"]
        assert pod["spec"]["activeDeadlineSeconds"] == 120


def test_batch_resources_are_an_annotation_since_kubelet_refuses_those_that_its_node_lacks() -> None:
    be = PODS[2]
    assert be["spec"]["containers"][0]["resources"] == {"requests": {}, "limits": {}}
    (text,) = be["metadata"]["annotations"].values()
    amounts = {"kubernetes.io/batch-cpu": "200", "kubernetes.io/batch-memory": "64Mi"}
    assert json.loads(text) == {"containers": {"main": {"limits": amounts}}}
