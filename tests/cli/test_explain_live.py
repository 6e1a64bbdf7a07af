"""`koordnri explain -f FILE --live`: the pods of a file on the running daemon's node, under its policy, beside its pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.answers.holdings import list_holdings
from koordnri.answers.node import described
from koordnri.answers.policy_document import policy_document
from koordnri.cli import cli
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.topology import Topology
from koordnri.observe.control import Controls, ControlServer
from koordnri.policy import load_policy
from tests.observe.driven import driven
from tests.support.manifests import owner_manifest

HALVED = "cpu-normalization-config: {enable: true, defaultRatio: 2}\n"


class Node:
    """What the daemon answers: a node of five CPUs, one of which stays shared; shop/other has the first two."""

    def __init__(self) -> None:
        allocator = Allocator()
        allocator.restore({"uid-other": {"main": Holding(CPUSet.parse("0-1"))}})
        self.holdings: Any = list_holdings(allocator.held, [Pod("sandbox", "uid-other", "shop", "other")])
        node = NodeState(name="n", topology=Topology.regular(1, 1, 5, 1))
        self.node: Any = described(allocator.applied(node))
        self.policy: Any = policy_document(load_policy(HALVED, "file"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Node]:
    node = Node()
    questions = {
        "node": lambda _: node.node,
        "policy-document": lambda _: node.policy,
        "holdings": lambda _: node.holdings,
    }
    server = ControlServer(tmp_path, cast(Controls, None), questions)
    try:
        yield node
    finally:
        server.close()


def explained(directory: Path, pod: dict[str, Any], *options: str) -> Result:
    path = directory / "pod.yaml"
    path.write_text(yaml.safe_dump(pod))
    arguments = ["explain", "-f", str(path), "--live", "--state-dir", str(directory), "-o", "json", *options]
    return CliRunner().invoke(cli, arguments)


def fields_of(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["containers"][0]["fields"]


@pytest.mark.usefixtures("served")
def test_a_new_pod_gets_cpus_that_no_running_pod_has(tmp_path: Path) -> None:
    found = fields_of(explained(tmp_path, owner_manifest("new", "2", "LSR")))["cpu.cpus"]
    assert (found["value"], found["reason"]) == ("2-3", "exclusive CPUs, given by this node")


@pytest.mark.usefixtures("served")
def test_a_running_pod_of_the_file_does_not_stand_in_its_own_way(tmp_path: Path) -> None:
    assert fields_of(explained(tmp_path, owner_manifest("other", "4", "LSR")))["cpu.cpus"]["value"] == "0-3"


@pytest.mark.usefixtures("served")
def test_what_is_not_free_is_reported_to_be_short(tmp_path: Path) -> None:
    done = explained(tmp_path, owner_manifest("new", "3", "LSR"))
    assert "cpuset" in {error["hook"] for error in json.loads(done.stdout)["errors"]}


@pytest.mark.usefixtures("served")
def test_a_shared_pod_gets_the_pool_that_the_running_pods_leave(tmp_path: Path) -> None:
    assert fields_of(explained(tmp_path, owner_manifest("new", "1", "LS")))["cpu.cpus"]["value"] == "2-4"


@pytest.mark.usefixtures("served")
def test_the_daemons_policy_holds_unless_a_file_says_otherwise(tmp_path: Path) -> None:
    shared = owner_manifest("new", "1", "LS")
    assert fields_of(explained(tmp_path, shared))["cpu.quota"]["value"] == 50_000
    policy = tmp_path / "policy.yaml"
    policy.write_text("cpu-normalization-config: {enable: true, defaultRatio: 4}\n")
    assert fields_of(explained(tmp_path, shared, "--policy", str(policy)))["cpu.quota"]["value"] == 25_000


def test_under_the_defaults_they_hold_here_too(tmp_path: Path, served: Node) -> None:
    served.policy = policy_document(None)
    assert "cpu.quota" not in fields_of(explained(tmp_path, owner_manifest("new", "1", "LS")))


def test_a_described_node_replaces_the_daemons_and_its_pods(tmp_path: Path, served: Node) -> None:
    node = tmp_path / "node.yaml"
    node.write_text("topology: {coresPerNuma: 3}\n")
    done = explained(tmp_path, owner_manifest("new", "2", "LSR"), "--node", str(node))
    assert fields_of(done)["cpu.cpus"]["value"] == "0-1"


def test_a_node_that_this_version_cannot_read_is_named(tmp_path: Path, served: Node) -> None:
    served.node = {**served.node, "quantumCores": 3}
    done = explained(tmp_path, owner_manifest("new", "1", "LS"))
    assert done.exit_code == 2
    assert "the daemon's node cannot be used" in done.stderr
    assert "quantumCores" in done.stderr


def test_without_a_daemon_the_missing_socket_is_named(tmp_path: Path) -> None:
    done = explained(tmp_path, owner_manifest("new", "1", "LS"))
    assert done.exit_code == 2
    assert "there is no such socket" in done.stderr


def test_a_real_daemon_answers_all_three_questions(tmp_path: Path) -> None:
    with driven(tmp_path) as running:
        path = tmp_path / "pod.yaml"
        path.write_text(yaml.safe_dump(owner_manifest("new", "1", "LS")))
        state_dir = str(running.policy.parent / "state")
        done = CliRunner().invoke(cli, ["explain", "-f", str(path), "--live", "--state-dir", state_dir])
    assert done.exit_code == 0, done.output
    assert "shop/new" in done.output
