"""`koordnri bench`: its load is what it says, its shape what it promises. How fast anything is, is not tested here."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from koordnri.cli.bench import life as bench_life
from koordnri.cli.bench import reconcile as bench_reconcile
from koordnri.cli.bench import scale as bench_scale
from koordnri.cli.bench.command import as_text, bench
from koordnri.cli.bench.figures import percentiles, spread
from koordnri.cli.bench.host import cgroup_of, write_cgroups, write_host
from koordnri.cli.bench.load import CPUS, KINDS, make_container, make_pod, request_bytes
from koordnri.cli.bench.policy import defaults, edited, everything, injecting, write_policy
from koordnri.cli.bench.reconcile import Effort
from koordnri.host import read_node
from koordnri.host.cgroup.paths import container_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import KubeQoS, fields
from koordnri.policy import read_policy, resolve
from koordnri.runtime import LATEST


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
    assert [hook.name for hook in node.oci_hooks] == ["gpu.json", "profile.json", "shell.json", "trace.json"]
    assert node.block_devices == {"/dev/nvme0n1": "259:0"}


@pytest.mark.parametrize("policy", [everything(), everything(1), injecting(), defaults(), edited(everything(), 1)])
def test_policies_are_accepted_without_a_warning(policy: Any, tmp_path: Path) -> None:
    write_policy(tmp_path / "policy.json", policy)
    assert list(read_policy(tmp_path / "policy.json").warnings) == []


@pytest.mark.parametrize("policy", [everything(), defaults()])
def test_an_edit_makes_another_document_that_comes_to_the_same_here(policy: Any, tmp_path: Path) -> None:
    documents = []
    for name, edition in (("a", policy), ("b", edited(policy, 1)), ("c", edited(policy, 2))):
        write_policy(tmp_path / name, edition)
        documents.append(read_policy(tmp_path / name))
    assert len({d.revision for d in documents}) == 3
    here = [resolve(d, "bench", {}) for d in documents]
    assert len({(str(p.qos), str(p.threshold), str(p.normalization)) for p in here}) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_cgroups_are_where_the_daemon_looks_and_as_kubelet_asked(kind: Any, tmp_path: Path) -> None:
    pod = make_pod(kind, 7)
    container = make_container(pod, kind, 7)
    write_host(tmp_path)
    write_cgroups(tmp_path, pod, [container])
    directory = container_directory(pod.linux.cgroup_parent, container.id, "containerd")
    assert directory == cgroup_of(pod, container)
    assert KubeQoS.of_cgroup(directory).lower() == kind.kube_qos
    writer, asked = Writer(tmp_path, 2), container.linux.resources
    assert writer.read(directory, fields.CPU_QUOTA).value == (asked.cpu.quota.value or -1)
    assert writer.read(directory, fields.MEMORY_LIMIT).value == (asked.memory.limit.value or -1)
    assert writer.read(cgroup_of(pod), fields.MEMORY_LIMIT).value == (asked.memory.limit.value or -1)


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


def test_a_spread_is_the_smallest_the_median_and_the_largest() -> None:
    assert spread([3.06, 1.0, 2.0], 1) == {"min": 1.0, "p50": 2.0, "max": 3.1}


def figures_of(*arguments: str) -> Any:
    result = CliRunner().invoke(bench, [*arguments, "-o", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture(scope="module")
def figures() -> Any:
    return figures_of("--part", "events", "-n", "8", "--containers", "5", "--nri-version", "0.8.0")


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
        "floor",
        "scaling",
    }
    assert (figures["nri"], figures["requests"], figures["pods"], figures["containers"]) == ("0.8.0", 8, 3, 5)
    assert set(figures["create_us"]) == set(figures["remove_us"]) == three
    assert set(figures["create_us_by_kind"]) == {k.name for k in KINDS}
    assert set(figures["floor"]) == {"create_us", "cpu_us_per_create_remove", "create_p50_ratio", "cpu_ratio"}
    assert set(figures["scaling"]) == {"p50_us_0", "p50_us_2000", "ratio"}


def test_everything_was_measured(figures: Any) -> None:
    one_of_each = [
        *figures["create_us"].values(),
        *figures["remove_us"].values(),
        *figures["scaling"].values(),
        *figures["floor"]["create_us"].values(),
        figures["floor"]["cpu_ratio"],
        figures["rss_mib"],
        figures["start_to_registered_s"],
    ]
    assert all(value > 0 for value in one_of_each)
    assert figures["start_to_synchronized_s"] >= figures["start_to_registered_s"]


def test_the_table_shows_the_same_figures(figures: Any) -> None:
    text = as_text(figures)
    for value in (figures["create_us"]["p99"], figures["rss_mib"], figures["scaling"]["ratio"]):
        assert str(value) in text


def test_the_part_injection_compares_both_and_shows_it() -> None:
    figures = figures_of("--part", "injection", "-n", "20", "--containers", "4")
    injected = figures["injection"]
    assert {name: set(values) for name, values in injected["create_us"].items()} == {
        "off": {"p50", "p90", "p99"},
        "on": {"p50", "p90", "p99"},
    }
    assert min(injected["create_p50_ratio"], injected["cpu_ratio"], *injected["cpu_us_per_create_remove"].values()) > 0
    text = as_text(figures)
    assert f"{injected['create_us']['on']['p50']}" in text
    assert f"{injected['cpu_ratio']}" in text


@pytest.fixture(scope="module")
def reconciled() -> Any:
    """Without an idle daemon, for that takes until its second sweep."""
    return bench_reconcile.report(8, LATEST, Effort(turns=1, edits=1, blocks=1, heals=8, sweeps=False))


def test_the_part_reconcile_has_the_promised_shape(reconciled: Any) -> None:
    three = {"min", "p50", "max"}
    assert set(reconciled["verified_s"]) == set(reconciled["recorded_s"]) == three
    assert {name: set(values) for name, values in reconciled["unchanged_cpu_ms"].items()} == {
        "everything": three,
        "defaults": three,
    }
    assert set(reconciled["cleared_s"]) == set(reconciled["allocated_ms"]) == three
    assert set(reconciled["create_us"]) == {"idle", "flipping", "p99_ratio"}
    assert (reconciled["sweep_cpu_ms"], reconciled["idle_cpu_percent"]) == ({}, {})
    assert set(reconciled["healed_ms"]) == {"p50", "p90", "p99"}
    assert set(reconciled["targets"]) <= {*reconciled, "create_p99_ratio", "healed_p99_ms"}


def test_recorded_is_what_was_verified_before(reconciled: Any) -> None:
    assert 0 < reconciled["verified_s"]["min"] < reconciled["recorded_s"]["min"]


def test_its_table_shows_the_same_figures_beside_their_targets(reconciled: Any) -> None:
    with_idle = reconciled | {"sweep_cpu_ms": {"defaults": 34.5}, "idle_cpu_percent": {"defaults": 0.65}}
    text = as_text({"nri": "0.12.2", "pods": 4, "containers": 8, "reconcile": with_idle})
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert rows["policy changed to all recorded, s"][-2:] == [str(reconciled["recorded_s"]["max"]), "2.0"]
    assert rows["idle, % of a core, defaults"][-2:] == ["0.65", "0.2"]
    assert rows["somebody else wrote to undone, ms"][-2:] == [str(reconciled["healed_ms"]["p99"]), "50.0"]
    assert str(reconciled["create_us"]["p99_ratio"]) in text


def test_where_recording_waits_for_events_nothing_is_printed_about_it(reconciled: Any) -> None:
    text = as_text({"nri": "0.8.0", "pods": 4, "containers": 8, "reconcile": reconciled | {"recorded_s": None}})
    (row,) = [line for line in text.splitlines() if "recorded" in line]
    assert row.split()[-4:] == ["-", "-", "-", "2.0"]


def test_the_part_scale_has_a_figure_for_each_size_and_shows_it() -> None:
    figures = bench_scale.report(LATEST, (4,), 1, Effort(edits=1, sweeps=False))
    assert set(figures) == set(bench_scale.ROWS) - {"sweep_cpu_ms", "between_cpu_percent"}
    for row, by_size in figures.items():
        assert list(by_size) == ["4"]
        # A pass beside four containers costs less than the noise that is subtracted from it.
        assert row == "full_pass_cpu_ms" or min(by_size.values()) > 0, row
    head, *lines = bench_scale.as_text(figures).splitlines()
    assert head.split()[-1] == "4"
    assert [line[:42].strip() for line in lines] == [title for row, title in bench_scale.ROWS.items() if row in figures]


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


def test_a_pods_life_is_measured_on_both_cgroup_versions_with_and_without_a_gap() -> None:
    figures = bench_life.report(2, LATEST, lives=4, warm_up=1)
    assert {version: set(arms) for version, arms in figures.items()} == {
        key: set(bench_life.ARMS) for key in ("v2", "v1")
    }
    for arms in figures.values():
        for row in arms.values():
            assert row["life_us"]["p50"] > 0
            assert row["ratio"]["p50"] == pytest.approx(row["life_us"]["p50"] / row["bare_us"]["p50"], abs=0.01)
    assert "cgroup v1, with gap" in bench_life.as_text(figures)


def test_a_node_with_cgroup_v1_has_its_files(tmp_path: Path) -> None:
    write_host(tmp_path, 1)
    node = read_node(tmp_path, "bench")
    assert (node.problems, node.cgroup_version, node.cgroup_driver) == ((), 1, "systemd")
    pod = make_pod(KINDS[0], 7)
    container = make_container(pod, KINDS[0], 7)
    write_cgroups(tmp_path, pod, [container], 1)
    writer, asked = Writer(tmp_path, 1), container.linux.resources
    for directory in (cgroup_of(pod), cgroup_of(pod, container)):
        assert writer.read(directory, fields.CPU_QUOTA).value == asked.cpu.quota.value
        assert writer.read(directory, fields.MEMORY_LIMIT).value == asked.memory.limit.value
