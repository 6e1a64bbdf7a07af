"""`koordnri simulate`: containers get what `explain` says, through the real daemon and its socket, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KOORDNRI = Path(sys.executable).with_name("koordnri")
EXAMPLES = ["-f", "examples/pods.yaml", "--policy", "examples/policy.yaml", "--node", "examples/node.yaml"]


def run(command: str, *options: str, tmp: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if tmp is None else {**os.environ, "TMPDIR": str(tmp)}
    return subprocess.run(
        [KOORDNRI, command, *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def run_json(command: str, *options: str) -> Any:
    done = run(command, *options, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def simulated() -> list[dict[str, Any]]:
    return run_json("simulate", *EXAMPLES)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def explained() -> list[dict[str, Any]]:
    return run_json("explain", *EXAMPLES)  # type: ignore[no-any-return]


def got(result: dict[str, Any], field: str) -> Any:
    """The value of a decided field in the container's resulting state."""
    name, _, key = field.partition("[")
    key = key.removesuffix("]")
    if name in ("env", "mount", "device"):
        return result[{"env": "env", "mount": "mounts", "device": "devices"}[name]].get(key)
    if name.startswith("memory.") and name != "memory.limit":
        text = result["unified"].get(name)
        return -1 if text == "max" else int(text)
    if name.startswith("io."):
        device, _, value = result["unified"].get(name, "").partition(" ")
        if device != key:
            return None
        return int(value) if value.isdecimal() else value
    return result["resources"].get(name)


def test_explain_and_simulate_agree_on_every_container(
    simulated: list[dict[str, Any]], explained: list[dict[str, Any]]
) -> None:
    assert len(simulated) == len(explained) == 7
    for ours, theirs in zip(simulated, explained, strict=True):
        assert ours["errors"] == theirs["errors"]
        assert [c["name"] for c in ours["containers"]] == [c["name"] for c in theirs["containers"]]
        for container, expected in zip(ours["containers"], theirs["containers"], strict=True):
            assert container["fields"] == expected["fields"]
            assert container["skipped"] == expected["skipped"]


def test_containers_have_what_was_decided(simulated: list[dict[str, Any]]) -> None:
    compared = 0
    for pod in simulated:
        for container in pod["containers"]:
            for field, decided in container["fields"].items():
                expected = None if decided["route"] == "write" else decided["value"]
                assert got(container["result"], field) == expected, (container["name"], field)
                compared += 1
    assert compared > 30


def test_what_is_not_decided_stays_as_kubelet_asked(simulated: list[dict[str, Any]]) -> None:
    (plain,) = [p for p in simulated if p["pod"]["name"] == "plain"]
    resources = plain["containers"][0]["result"]["resources"]
    assert (resources["cpu.shares"], resources["cpu.period"], resources["memory.limit"]) == (256, 100_000, 256 << 20)


def test_the_shape(simulated: list[dict[str, Any]]) -> None:
    for pod in simulated:
        assert pod.keys() == {"pod", "containers", "trust", "remarks", "errors", "events"}
        assert pod["pod"].keys() == {"namespace", "name", "qos", "kubeQoS", "fields", "observed"}
        for container in pod["containers"]:
            assert container.keys() == {"name", "fields", "observed", "skipped", "result"}
            assert container["result"].keys() == {"resources", "unified", "env", "mounts", "devices", "annotations"}


def test_the_daemon_hears_of_the_whole_life(simulated: list[dict[str, Any]]) -> None:
    (web,) = [p for p in simulated if p["pod"]["name"] == "web"]
    assert web["events"] == {
        "RUN_POD_SANDBOX": 1,
        "STOP_CONTAINER": 2,
        "STOP_POD_SANDBOX": 1,
        "CREATE_CONTAINER": 2,
        "START_CONTAINER": 2,
        "UPDATE_CONTAINER": 2,
        "REMOVE_CONTAINER": 2,
        "REMOVE_POD_SANDBOX": 1,
    }


def manifest(name: str, labels: dict[str, str], annotations: dict[str, str], **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


def write(path: Path, *documents: Any) -> str:
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def test_init_containers_have_ended_before_the_others(tmp_path: Path) -> None:
    init = [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}]
    pods = write(tmp_path / "pods.yaml", manifest("p", {}, {}, initContainers=init))
    shape = run_json("simulate", "-f", pods)
    assert [c["name"] for c in shape["containers"]] == ["setup", "proxy", "main"]
    assert shape["events"]["CREATE_CONTAINER"] == 3
    assert shape["events"]["UPDATE_CONTAINER"] == 2  # `setup` runs no more when kubelet resizes


def test_one_pod_is_an_object(tmp_path: Path) -> None:
    assert run_json("simulate", "-f", write(tmp_path / "pods.yaml", manifest("p", {}, {})))["pod"]["name"] == "p"


def test_a_refused_container_is_exit_1_and_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    pods = write(
        tmp_path / "pods.yaml",
        manifest("refused", {}, {"scheduling.koordinator.sh/device-allocated": "["}),
        manifest("fine", {}, {"scheduling.koordinator.sh/device-allocated": '{"gpu":[{"minor":3}]}'}),
    )
    policy = write(tmp_path / "policy.yaml", {"koordnri-config": {"hooks": {"gpu": {"failurePolicy": "fail"}}}})
    done = run("simulate", "-f", pods, "--policy", policy, "-o", "json")
    assert done.returncode == 1
    refused, fine = json.loads(done.stdout)
    (container,) = refused["containers"]
    assert container["result"] is None
    assert container["failed"].startswith("CreateContainer: ")
    assert "koordnri-config.hooks.gpu.failurePolicy: fail" in container["failed"]
    assert fine["containers"][0]["result"]["env"] == {"NVIDIA_VISIBLE_DEVICES": "3"}

    table = run("simulate", "-f", pods, "--policy", policy)
    assert table.returncode == 1
    assert "failed container main: CreateContainer: " in table.stdout


def test_bad_files(tmp_path: Path) -> None:
    pods = write(tmp_path / "pods.yaml", {"kind": "Pod", "spec": {}})
    node = write(tmp_path / "node.yaml", {"cgroup": {"version": 3}})
    done = run("simulate", "-f", pods, "--node", node)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"{node} cannot be used:\ncgroup.version: expected 1..2, got 3\n"
        f"{pods} cannot be used:\nspec.containers: expected a value, it is missing\n"
    )


def test_the_table_shows_what_was_asked_and_got_and_why_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = run("simulate", *EXAMPLES, tmp=tmp_path)
    assert done.returncode == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert ["", "cpu.quota", "200000", "166667", "cfs_quota", "normalised by the node's CPU ratio"] in rows
    assert "decided was" not in done.stdout  # what a container got differs from no decision
    assert "error cpuset, container app: annotation scheduling.koordinator.sh/resource-status" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [1, 2])
def test_cgroup_versions(tmp_path: Path, version: int) -> None:
    """On v1 nothing goes by `unified`: the runtime would not start the container."""
    pods = write(tmp_path / "pods.yaml", manifest("p", {"koordinator.sh/qosClass": "LS"}, {}))
    node = write(tmp_path / "node.yaml", {"cgroup": {"version": version, "driver": "cgroupfs"}})
    policy = {"resource-qos-config": {"lsClass": {"memoryQOS": {"enable": True, "minLimitPercent": 50}}}}
    shape = run_json("simulate", "-f", pods, "--node", node, "--policy", write(tmp_path / "policy.yaml", policy))
    (container,) = shape["containers"]
    assert ("memory.min" in container["result"]["unified"]) is (version == 2)
    assert (container["skipped"].get("memory.min") == "cgroup v1 has no memory.min") is (version == 1)


def test_labels_of_namespaces_in_the_file_decide_as_in_explain(tmp_path: Path) -> None:
    pod = manifest("p", {}, {"scheduling.koordinator.sh/resource-status": '{"cpuset": "2"}'})
    namespace = {"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "hpc"}}}
    by_labels = {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}
    policy = {"koordnri-config": {"clusterStrategy": {"trust": {"resourceStatus": by_labels}}}}
    files = ["-f", write(tmp_path / "pods.yaml", pod, namespace), "--policy", write(tmp_path / "p.yaml", policy)]
    for command in "simulate", "explain":
        shape = run_json(command, *files)
        assert [verdict["outcome"] for verdict in shape["trust"]] == ["believed"]
        assert shape["containers"][0]["fields"]["cpu.cpus"]["value"] == "2"


def test_exclusive_cpus_are_given_as_explain_says_and_who_was_there_before_leaves_them(tmp_path: Path) -> None:
    def whole(name: str, qos: str, cpus: str) -> dict[str, Any]:
        pod = manifest(name, {"koordinator.sh/qosClass": qos}, {})
        pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] = cpus
        return pod

    pods = [whole("early", "LS", "1"), whole("db", "LSR", "4"), whole("late", "LSE", "6")]
    files = ["-f", write(tmp_path / "pods.yaml", *pods)]
    files += ["--node", write(tmp_path / "node.yaml", {"topology": {"coresPerNuma": 4, "threadsPerCore": 2}})]
    simulated, explained = run_json("simulate", *files), run_json("explain", *files)
    cpus = [pod["containers"][0]["result"]["resources"]["cpu.cpus"] for pod in simulated]
    assert cpus == ["2-3,6-7", "0-1,4-5", "2-3,6-7"]
    assert [pod["containers"][0]["fields"]["cpu.cpus"]["value"] for pod in explained] == cpus
    assert [pod["containers"][0]["fields"]["cpu.cpus"]["value"] for pod in simulated] == cpus
    message = "shares CPUs, though it wants 6 exclusive CPUs: 4 of 8 are free (2-3,6-7), of which 2 stay shared (minSharedCPUs)"
    for shapes in simulated, explained:
        assert [e for pod in shapes for e in pod["errors"]] == [
            {"hook": "cpuset", "container": "main", "message": message}
        ]

    files += [
        "--policy",
        write(tmp_path / "p.yaml", {"koordnri-config": {"hooks": {"cpuset": {"whenFull": "reject"}}}}),
    ]
    refused = "koordnri: container main wants 6 exclusive CPUs: 4 of 8 are free (2-3,6-7), of which 2 stay shared (minSharedCPUs)"
    done = run("simulate", *files, "-o", "json")
    assert done.returncode == 1
    assert (
        json.loads(done.stdout)[2]["containers"][0]["failed"]
        == f"CreateContainer: rpc error: code = Unknown desc = {refused}"
    )
    late = run_json("explain", *files)[2]
    assert (late["containers"][0]["fields"], late["errors"][0]["message"]) == ({}, refused)
