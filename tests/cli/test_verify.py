"""`koordnri verify` beside a real daemon and a fake API server: what it creates and prints, and that it leaves no pod."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli
from tests.kube.fake_api import Answer, status
from tests.kube.fake_pods import FakePods, forbidden
from tests.kube.watched import write_kubeconfig
from tests.observe.driven import Driven, driven


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    with driven(tmp_path_factory.mktemp("verify")) as it:
        yield it


@pytest.fixture
def cluster() -> Iterator[FakePods]:
    with FakePods() as server:
        yield server


@pytest.fixture
def verify(daemon: Driven, cluster: FakePods, tmp_path: Path) -> Callable[..., Result]:
    kubeconfig = write_kubeconfig(tmp_path, cluster.url)
    state_dir = daemon.policy.parent / "state"

    def run(*arguments: str) -> Result:
        options = ["--state-dir", str(state_dir), "--kubeconfig", str(kubeconfig), "--timeout", "0"]
        return CliRunner().invoke(cli, ["verify", *options, *arguments])

    return run


def created(cluster: FakePods) -> list[Any]:
    return [request.json for request in cluster.requests.items if request.method == "POST"]


def test_a_pod_of_each_class_is_created_on_this_node_and_deleted(
    cluster: FakePods, verify: Callable[..., Result]
) -> None:
    verify("--image", "an-image")
    made = created(cluster)
    assert [pod["metadata"]["labels"].get("koordinator.sh/qosClass") for pod in made] == ["LSR", "LS", "BE", None]
    assert {pod["spec"]["nodeName"] for pod in made} == {"n"}
    assert {pod["spec"]["containers"][0]["image"] for pod in made} == {"an-image"}
    assert len({pod["metadata"]["labels"]["koordnri.sh/verify"] for pod in made}) == 1
    assert cluster.pods == {}


def test_two_runs_have_pods_of_different_names(cluster: FakePods, verify: Callable[..., Result]) -> None:
    for _ in range(2):
        verify()
    names = [pod["metadata"]["name"] for pod in created(cluster)]
    assert len(set(names)) == 8


def test_a_pod_that_koordnri_has_not_seen_is_not_ok(cluster: FakePods, verify: Callable[..., Result]) -> None:
    done = verify()
    assert done.exit_code == 1, done.output
    lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["NOT", "OK", one] for one in ("LSR", "LS", "BE", "plain")]
    assert all("is not on this node, as far as the runtime has reported" in line for line in lines)
    assert "expected shared CPUs (the node's CPU topology is not known)" in lines[0]
    assert lines[0].endswith("-lsr")
    assert "more: koordnri why koordnri-verify/koordnri-verify-" in lines[0]


def test_json_has_expectation_and_problems(verify: Callable[..., Result]) -> None:
    shape = json.loads(verify("-o", "json").stdout)
    assert (shape["node"], shape["namespace"]) == ("n", "koordnri-verify")
    be = shape["classes"][2]
    assert (be["class"], be["ok"], be["found"]) == ("BE", False, {})
    assert be["expected"] == {"cpu.shares": 2, "cpu.quota": 20_000, "memory.limit": 64 << 20}


def test_a_pod_that_does_not_run_shows_kubelets_reason_and_the_option(
    cluster: FakePods, verify: Callable[..., Result]
) -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    cluster.status = {"phase": "Pending", "containerStatuses": [waiting]}
    done = verify()
    assert done.exit_code == 1
    assert "it does not run: ImagePullBackOff; --image names another image" in done.stdout
    assert cluster.pods == {}


def test_a_pod_that_an_admission_refuses_costs_its_class_only(cluster: FakePods, verify: Callable[..., Result]) -> None:
    def refusal(method: str, name: str) -> Answer | None:
        return (
            status(403, f'pods "{name}" is forbidden: exceeded quota')
            if (method, name[-2:]) == ("POST", "be")
            else None
        )

    cluster.refusal = refusal
    done = verify()
    assert done.exit_code == 1
    assert done.stdout.count("exceeded quota") == 1
    assert cluster.pods == {}


@pytest.mark.parametrize("verb", ["get", "delete", "create"])
def test_a_missing_right_is_named_with_the_role_that_grants_it(
    cluster: FakePods, verify: Callable[..., Result], verb: str
) -> None:
    method = {"get": "GET", "delete": "DELETE", "create": "POST"}[verb]
    cluster.refusal = lambda asked, name: forbidden(verb) if asked == method else None
    done = verify("--namespace", "tests")
    assert done.exit_code == 2
    assert f"cannot {verb} resource" in done.stderr
    role, binding = yaml.safe_load_all("apiVersion" + done.stderr.partition("apiVersion")[2])
    assert (role["metadata"]["namespace"], role["rules"][0]["verbs"]) == ("tests", ["create", "get", "delete"])
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "koordnri", "namespace": "koordnri-system"}]
    for one in (role, binding):
        kubernetes_validate.validate(one, "1.32", strict=True)
    assert cluster.pods == {}


def test_a_person_gets_a_role_of_their_own(cluster: FakePods, verify: Callable[..., Result]) -> None:
    cluster.refusal = lambda method, name: forbidden("get", "jane")
    assert 'kind: User, name: "jane"' in verify().stderr


def test_a_namespace_that_is_not_there_is_named(cluster: FakePods, verify: Callable[..., Result]) -> None:
    cluster.refusal = lambda method, name: status(404, 'namespaces "x" not found') if method == "POST" else None
    done = verify()
    assert done.exit_code == 2
    assert "namespace koordnri-verify does not exist" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_deletes_the_pods(
    cluster: FakePods, verify: Callable[..., Result], number: signal.Signals
) -> None:
    def interrupt(method: str, name: str) -> None:
        if method == "POST" and name.endswith("-be"):
            os.kill(os.getpid(), number)

    cluster.refusal = interrupt
    before = signal.signal(number, signal.default_int_handler)  # not ignored, as under nohup
    try:
        done = verify("--timeout", "20")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert done.exit_code == 128 + number
    assert len(created(cluster)) >= 3
    assert cluster.pods == {}


def test_pods_that_cannot_be_deleted_are_named_by_the_command_that_does(
    cluster: FakePods, verify: Callable[..., Result]
) -> None:
    cluster.refusal = lambda method, name: (
        status(500, "etcd is gone") if method == "DELETE" and name in cluster.pods else None
    )
    done = verify()
    run = created(cluster)[0]["metadata"]["labels"]["koordnri.sh/verify"]
    assert "etcd is gone" in done.stderr
    assert f"kubectl -n koordnri-verify delete pods -l koordnri.sh/verify={run}" in done.stderr


def test_without_an_api_server_the_way_to_it_is_asked_for(daemon: Driven) -> None:
    done = CliRunner().invoke(cli, ["verify", "--state-dir", str(daemon.policy.parent / "state")])
    assert done.exit_code == 2
    assert "give --kubeconfig FILE" in done.stderr
