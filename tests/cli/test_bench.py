"""`koordnri bench`: its load is what it says, its shape what it promises. How fast anything is, is not tested here."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from koordnri.cli.bench import as_text, bench, percentiles
from koordnri.cli.bench_load import CPUS, KINDS, make_container, make_pod, request_bytes, write_host, write_policy
from koordnri.host import read_node
from koordnri.policy import read_policy


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_a_request_is_as_large_as_real_ones(kind: Any) -> None:
    pod = make_pod(kind, 1234)
    assert 5000 <= request_bytes(pod, make_container(pod, kind, 1234)) <= 6000


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "plain"], ids=lambda k: k.name)
def test_every_pod_has_annotation_values_of_its_own(kind: Any) -> None:
    assert kind.annotations(1) != kind.annotations(2)
    assert kind.annotations(1).items() <= dict(make_pod(kind, 1).annotations).items()


def test_the_node_leaves_no_hook_without_work(tmp_path: Path) -> None:
    write_host(tmp_path)
    node = read_node(tmp_path, "bench")
    assert node.problems == ()
    assert node.topology is not None
    assert len(node.topology.online) == CPUS
    assert (node.cgroup_version, node.cgroup_driver) == (2, "systemd")
    assert {"memory.high", "io.max"} <= node.cgroup_files
    assert node.resctrl is not None
    assert node.resctrl.groups == {"LSR", "LS", "BE"}
    assert node.block_devices == {"/dev/nvme0n1": "259:0"}


def test_the_policy_is_accepted_without_a_warning(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy.json")
    assert list(read_policy(tmp_path / "policy.json").warnings) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {"p50": 0.0, "p90": 0.0, "p99": 0.0}),
        ([7.04], {"p50": 7.0, "p90": 7.0, "p99": 7.0}),
        (range(101, 0, -1), {"p50": 51, "p90": 91, "p99": 100}),
    ],
)
def test_percentiles(values: Any, expected: dict[str, float]) -> None:
    assert percentiles(values) == expected


@pytest.fixture(scope="module")
def figures() -> Any:
    result = CliRunner().invoke(bench, ["-n", "8", "--containers", "5", "--nri-version", "0.8.0", "-o", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_the_json_has_the_promised_shape(figures: Any) -> None:
    three = {"p50", "p90", "p99"}
    assert set(figures) == {
        "nri",
        "requests",
        "request_bytes",
        "pods",
        "containers",
        "create_us",
        "create_us_by_kind",
        "remove_us",
        "cpu_us_per_create_remove",
        "rss_mib",
        "start_to_registered_s",
        "start_to_synchronized_s",
        "scaling",
    }
    assert (figures["nri"], figures["requests"], figures["pods"], figures["containers"]) == ("0.8.0", 8, 3, 5)
    assert set(figures["create_us"]) == set(figures["remove_us"]) == three
    assert set(figures["create_us_by_kind"]) == {k.name for k in KINDS}
    assert set(figures["scaling"]) == {"p50_us_0", "p50_us_2000", "ratio"}


def test_everything_was_measured(figures: Any) -> None:
    one_of_each = [
        *figures["create_us"].values(),
        *figures["remove_us"].values(),
        *figures["scaling"].values(),
        figures["rss_mib"],
        figures["start_to_registered_s"],
    ]
    assert all(value > 0 for value in one_of_each)
    assert figures["start_to_synchronized_s"] >= figures["start_to_registered_s"]


def test_the_table_shows_the_same_figures(figures: Any) -> None:
    text = as_text(figures)
    for value in (figures["create_us"]["p99"], figures["rss_mib"], figures["scaling"]["ratio"]):
        assert str(value) in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nri-version", "new"], 'expected a version such as 0.8.0, got "new"'),
        (["--nri-version", "0.1.0"], "no known version of the runtime containerd has NRI 0.1.0"),
        (["-n", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(bench, arguments)
    assert result.exit_code == 2
    assert text in result.output
