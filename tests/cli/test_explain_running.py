"""`koordnri explain NAMESPACE/POD`: asks the running daemon, and shows its answer to people and programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.cli.running_table import print_running, rule_text
from tests.answers.explained import crun_node, explained, node_with_gpu_pod, node_with_pinned_pod
from tests.observe.driven import Driven, driven
from tests.reconcile.fake_node import HALVED, FakeNode


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    with driven(tmp_path_factory.mktemp("explain")) as it:
        it.run_pod("web")
        it.create("web")
        it.settled()
        yield it


def asked(running: Driven, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments, "--state-dir", str(running.policy.parent / "state")])


def test_the_daemon_explains_a_pod_that_it_has(running: Driven) -> None:
    done = asked(running, "shop/web", "-o", "json")
    assert done.exit_code == 0, done.output
    (container,) = json.loads(done.output)["containers"]
    quota = container["fields"]["cpu.quota"]
    assert (quota["value"], quota["hook"], quota["reason"]) == (12_000, "com.example.quota", "as an example")
    assert quota["cause"] == "creation"
    assert (container["cgroup"], quota["kernel"]) == (None, None)  # this runtime has reported no cgroup


def test_yaml_has_the_same_content(running: Driven) -> None:
    as_yaml = yaml.safe_load(asked(running, "shop/web", "-o", "yaml").output)
    assert as_yaml == json.loads(asked(running, "shop/web", "-o", "json").output)


def test_the_table_shows_container_value_and_policy(running: Driven) -> None:
    done = asked(running, "shop/web", "--container", "name-of-c1")
    assert done.exit_code == 0, done.output
    assert "shop/web" in done.output
    assert "12000" in done.output
    assert ": creation" in done.output
    assert f"from {running.policy}" in done.output


def test_an_unknown_pod_fails_with_those_of_like_names(running: Driven) -> None:
    done = asked(running, "default/web")
    assert done.exit_code == 2
    assert (
        "pod default/web is not on this node, as far as the runtime has reported; is it one of shop/web?" in done.output
    )


def test_an_unknown_container_fails_with_those_that_there_are(running: Driven) -> None:
    done = asked(running, "shop/web", "--container", "log")
    assert done.exit_code == 2
    assert "there are: name-of-c1" in done.output


def test_without_a_daemon_the_missing_socket_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["explain", "shop/web", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "there is no such socket" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected either NAMESPACE/POD"),
        (("shop/web", "-f", "pods.yaml"), "expected either NAMESPACE/POD"),
        (("shop/web", "--policy", "policy.yaml"), "belong to -f"),
        (("shop/web", "--event", "sync"), "belong to -f"),
    ],
)
def test_a_pod_and_a_file_exclude_each_other(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(cli, ["explain", *arguments])
    assert done.exit_code == 2
    assert message in done.output


def printed(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> str:
    print_running(explained(node))
    return capsys.readouterr().out


def test_the_table_has_asked_decided_and_kernel_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(node_with_pinned_pod(), capsys).splitlines()
    quota = [re.split(r" {2,}", line.strip()) for line in lines if "cpu.quota" in line][-1]
    assert quota[quota.index("cpu.quota") + 1 :][:3] == ["200000", "-1 (unlimited)", "-1 (unlimited)"]


def test_the_table_shows_a_scope_that_differs_from_its_inner_cgroup(capsys: pytest.CaptureFixture[str]) -> None:
    node, scope = crun_node()
    assert "its scope" not in printed(node, capsys)
    node.kernel.cgroups[scope].quota = 70_000
    assert "50000 (its scope: 70000)" in " ".join(printed(node, capsys).split())


def test_the_table_marks_what_only_a_restart_brings(capsys: pytest.CaptureFixture[str]) -> None:
    node, pod = node_with_gpu_pod()
    node.report_again(pod, {})
    text = printed(node, capsys)
    assert "only by a restart" in text
    assert "would change it" in text


def test_the_table_names_the_rules_of_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.set_policy(**HALVED)
    print_running(explained(node))
    assert "by policy cpu-normalization-config.defaultRatio" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (("annotation", "a/b", ""), "annotation a/b"),
        (("spec", "resources", ""), "the pod's spec: resources"),
        (("policy", "x.y", "fast"), "policy x.y (node strategy fast)"),
        (("class default", "x.lsClass", ""), "the class's default, switched on by policy x.lsClass"),
    ],
)
def test_rules_are_shown_in_words(rule: tuple[str, str, str], shown: str) -> None:
    kind, name, strategy = rule
    assert rule_text({"kind": kind, "name": name, "strategy": strategy}) == shown
