"""Single pods: created, read with the reason why they do not run, and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.kube import ApiRefused, Garbled, PodCalls, PodProgress, connect
from tests.kube.fake_api import whole
from tests.kube.fake_pods import FakePods, forbidden
from tests.kube.watched import write_kubeconfig

MANIFEST = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}}


@pytest.fixture
def cluster() -> Iterator[FakePods]:
    with FakePods() as server:
        yield server


@pytest.fixture
def calls(cluster: FakePods, tmp_path: Path) -> PodCalls:
    return PodCalls(connect(write_kubeconfig(tmp_path, cluster.url)), "n")


def test_a_pod_is_created_and_deleted_by_its_name(cluster: FakePods, calls: PodCalls) -> None:
    calls.create(MANIFEST)
    assert cluster.pods == {"a": MANIFEST}
    assert calls.progress("a") == PodProgress("Running", "")
    assert calls.delete("a")
    assert cluster.pods == {}
    paths = [(request.method, request.path) for request in cluster.requests.items]
    one = "/api/v1/namespaces/n/pods/a"
    assert paths == [("POST", "/api/v1/namespaces/n/pods"), ("GET", one), ("DELETE", one)]


def test_a_pod_that_is_not_there_is_no_error(calls: PodCalls) -> None:
    assert not calls.delete("a")
    assert calls.progress("a").phase == ""


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"reason": "OutOfcpu", "message": "Node didn't have enough"}, "OutOfcpu: Node didn't have enough"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, "ErrImagePull"),
        ({"containerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]}, "Error"),
        ({"containerStatuses": [{"state": {"running": {"startedAt": "x"}}}]}, ""),
    ],
)
def test_why_a_pod_does_not_run_is_what_kubelet_says(
    cluster: FakePods, calls: PodCalls, state: dict[str, Any], why: str
) -> None:
    cluster.status = {"phase": "Pending", **state}
    calls.create(MANIFEST)
    assert calls.progress("a") == PodProgress("Pending", why)


def test_a_refusal_keeps_its_status(cluster: FakePods, calls: PodCalls) -> None:
    cluster.refusal = lambda method, name: forbidden("delete") if method == "DELETE" else None
    with pytest.raises(ApiRefused) as refused:
        calls.delete("a")
    assert refused.value.status == 403


def test_an_answer_that_is_no_pod_is_garbled(cluster: FakePods, calls: PodCalls) -> None:
    cluster.refusal = lambda method, name: whole(200, b"<html>")
    with pytest.raises(Garbled, match="expected a Pod, got '<html>'"):
        calls.progress("a")
