"""Every metric, as scraped from the real daemon while it serves the embedded runtime."""

import itertools
import json
import math
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from koordnri.answers.metrics import make_family
from koordnri.answers.violations import KINDS
from koordnri.kube.events import EventStats
from koordnri.model import Pod
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.observe.metric_table import TABLE
from koordnri.runtime import CRIError
from tests.observe.driven import Driven, driven
from tools.metrics import dashboard, rule_groups

WITHOUT_SAMPLES = {
    "koordnri_cpus",  # of a node without a topology
    "koordnri_suppressed_cpus",
    "koordnri_controller_actuations",  # without a controller
    "koordnri_throttled_seconds",  # of pods without cgroups
    "koordnri_waiting_seconds",
    "koordnri_contained_faults",
    "koordnri_watch_restarts",  # of a daemon that asks no API server
    "koordnri_kube_events_posted",
    "koordnri_kube_events_dropped",
    "koordnri_kube_event_requests",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One daemon for the tests of this file that leave it connected; it has seen every kind of outcome."""
    with driven(tmp_path_factory.mktemp("metrics")) as it:
        for pod, annotations in {"good": (), "wrong": ("wrong",), "buggy": ("buggy",)}.items():
            it.run_pod(pod, *annotations)
            it.create(pod)
        it.run_pod("strict", "strict")
        with pytest.raises(CRIError):
            it.create("strict")
        # koord-scheduler cannot have written it: nothing is known of the pod's spec.
        it.run_pod("untrusted", annotations={RESOURCE_STATUS.key: '{"cpuset": "0"}'})
        it.create("untrusted")
        it.settled()
        # A node that is only described has no files; what a pass over real ones counts is the reconciler's tests' business.
        stats = it.daemon.parts.reconciler.stats
        stats.passes["sweep"] = 3
        stats.writes["cpu.quota", "refused"] = 2
        it.daemon.parts.reconciler.undone.counts["cpu.cpus", "systemd"] = 1
        stats.failures["cpu.quota", "write", "refused"] = 4
        it.daemon.parts.recorder.stats.pushes["unsolicited", "recorded"] = 5
        cache = it.daemon.parts.groups.stats
        cache.read_only = "no rights"
        cache.actions["made", "ok"] = cache.placed["placed"] = 1
        cache.occupancy_bytes, cache.traffic_bytes = {("BE", 0): 4096}, {("BE", 0, "total"): 8192}
        it.daemon.parts.eviction.counts["BEMemoryEvict", "evicted"] = 1
        it.daemon.parts.neighbours.counts["cpu", "neighbour"] = 1
        stats.last_pass_s, stats.changed_to_verified_s = 0.25, 1.5
        yield it


def test_every_metric_of_the_table_is_there_and_no_other_with_its_type_and_labels(node: Driven) -> None:
    found = {
        name: (family.type, family.documentation, {frozenset(sample.labels) - {"le"} for sample in family.samples})
        for name, family in node.metrics().items()
        if name.startswith("koordnri_")
    }
    assert found == {
        row.name: (row.type, row.help, set() if row.name in WITHOUT_SAMPLES else {frozenset(row.labels)})
        for row in TABLE.values()
    }


@pytest.mark.parametrize("source", ["dashboard", "alerts"])
def test_dashboard_and_alerts_name_only_what_a_scrape_has(node: Driven, source: str) -> None:
    text = json.dumps(dashboard() if source == "dashboard" else rule_groups())
    named = set(re.findall(r"\b(?:koordnri|process)_[a-z_]+", text))
    types = re.findall(r"^# TYPE (\w+) (\w+)$", node.get("/metrics"), re.MULTILINE)
    there = {name for name, _ in types} | {f"{name}_bucket" for name, kind in types if kind == "histogram"}
    assert len(named) > 10
    assert named - there == set()


def test_pods_with_inputs_that_are_not_believed_are_counted_by_rule(node: Driven) -> None:
    assert node.value("koordnri_trust_refusals_total", rule="resourceStatus", outcome="unknown") == 1


def test_the_build_is_named(node: Driven) -> None:
    labels = {"version": metadata.version("koordnri"), "python": platform.python_version()}
    assert node.value("koordnri_build_info", **labels) == 1


def test_cpus_are_counted_by_kind(node: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.daemon.parts, "cpu_counts", lambda: {"exclusive": 2, "shared": 6})
    assert [node.value("koordnri_cpus", kind=kind) for kind in ("exclusive", "shared")] == [2, 6]


def test_times_are_those_of_a_class(node: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.daemon.parts, "throttled_s", lambda: {"LS": 1.5})
    monkeypatch.setattr(node.daemon.parts, "waiting_s", lambda: {"BE": 2.5})
    assert node.value("koordnri_throttled_seconds_total", qos="LS") == 1.5
    assert node.value("koordnri_waiting_seconds_total", qos="BE") == 2.5


def test_pods_that_were_released_are_counted_while_they_are_there(node: Driven) -> None:
    present = node.daemon.parts.present
    assert node.value("koordnri_released_pods") == 0
    node.run_pod("left-to-kubelet")
    node.settled()
    present.let_go(frozenset({"left-to-kubelet", "gone"}))
    assert node.value("koordnri_released_pods") == 1


def test_violations_are_counted_by_kind(node: Driven) -> None:
    assert [node.value("koordnri_violations", kind=kind) for kind in KINDS] == [0] * len(KINDS)
    parts = node.daemon.parts
    for name in ("one", "other"):
        assigned = {RESOURCE_STATUS.key: '{"cpuset": "0"}'}
        parts.ledger.remember_pod(Pod(name, f"uid-{name}", "shop", name, annotations=assigned))
    assert node.value("koordnri_violations", kind="TwoOwners") == 1
    for name in ("one", "other"):
        parts.ledger.forget_pod(name)


def test_the_process_is_measured_too(node: Driven) -> None:
    assert node.metrics()["process_resident_memory_bytes"].samples[0].value > 1 << 20


def test_no_label_names_a_pod_or_a_container(node: Driven) -> None:
    text = node.get("/metrics")
    assert "shop" not in text
    assert "name-of-" not in text


def test_one_connection_state_is_on(node: Driven) -> None:
    states = {s.labels["state"]: s.value for s in node.metrics()["koordnri_connection_state"].samples}
    assert states == {"disconnected": 0, "registering": 0, "configured": 0, "synchronized": 1, "stopped": 0}
    assert node.value("koordnri_connected") == 1


def test_the_runtime_is_named(node: Driven) -> None:
    identity = node.runtime.identity
    labels = {"name": identity.name, "version": identity.version, "nri": str(identity.nri)}
    assert node.value("koordnri_runtime_info", **labels) == 1


@pytest.mark.parametrize(
    ("event", "outcome", "count"),
    [("CreateContainer", "ok", 4), ("CreateContainer", "refused", 1), ("Configure", "ok", 1), ("Synchronize", "ok", 1)],
)
def test_events_are_counted_by_outcome(node: Driven, event: str, outcome: str, count: int) -> None:
    assert node.value("koordnri_events_total", event=event, outcome=outcome) == count


@pytest.mark.parametrize(
    ("hook", "fault"), [("com.example.quota", "pod"), ("com.example.buggy", "bug"), ("com.example.strict", "pod")]
)
def test_hook_errors_are_counted_by_fault(node: Driven, hook: str, fault: str) -> None:
    assert node.value("koordnri_hook_errors_total", hook=hook, fault=fault) == 1


def test_fields_that_the_runtime_was_sent_are_counted(node: Driven) -> None:
    """Of the containers good, buggy and untrusted; strict's was decided too, but never sent."""
    labels = {"hook": "com.example.quota", "field": "cpu.quota", "route": "adjust"}
    assert node.value("koordnri_decided_fields_total", **labels) == 3


@pytest.mark.parametrize(
    ("sample", "labels", "value"),
    [
        ("koordnri_reconcile_passes_total", {"trigger": "sweep"}, 3),
        ("koordnri_writes_total", {"field": "cpu.quota", "outcome": "refused"}, 2),
        ("koordnri_drift_healed_total", {"field": "cpu.cpus", "by": "systemd"}, 1),
        ("koordnri_reconcile_pass_seconds", {}, 0.25),
        ("koordnri_change_to_verified_seconds", {}, 1.5),
    ],
)
def test_what_the_reconciler_did_is_counted(node: Driven, sample: str, labels: dict[str, str], value: float) -> None:
    assert node.value(sample, **labels) == value


def test_a_hooks_time_is_a_histogram(node: Driven) -> None:
    samples = [
        s for s in node.metrics()["koordnri_hook_duration_seconds"].samples if s.labels["hook"] == "com.example.quota"
    ]
    buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    bound, count = buckets[-1]
    assert (math.isinf(bound), count) == (True, 5)
    assert [s.value for s in samples if s.name.endswith("_count")] == [count]
    [total_s] = [s.value for s in samples if s.name.endswith("_sum")]
    least_s = sum((n - before) * bound for (bound, before), (_, n) in itertools.pairwise(buckets))
    assert least_s <= total_s  # each took at least its bucket's lower bound


def test_counters_never_fall_and_rise_by_what_happened(node: Driven) -> None:
    def counters() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (s.name, tuple(sorted(s.labels.items()))): s.value
            for family in node.metrics().values()
            if family.type in ("counter", "histogram") and family.name.startswith("koordnri_")
            for s in family.samples
        }

    before = counters()
    node.create("good")
    node.settled()
    after = counters()
    assert before.keys() <= after.keys()
    assert {key for key, value in before.items() if after[key] < value} == set()
    risen = {key[0] + "".join(f" {v}" for _, v in key[1]) for key in before if after[key] > before[key]}
    assert {name for name in risen if "duration" not in name} == {
        "koordnri_events_total CreateContainer ok",
        "koordnri_events_total RunPodSandbox ok",
        "koordnri_decided_fields_total cpu.quota com.example.quota adjust",
    }


def test_pods_and_containers_are_those_of_the_ledger(node: Driven) -> None:
    pods, containers = node.value("koordnri_pods"), node.value("koordnri_containers")
    node.run_pod("short")
    container = node.create("short")
    node.settled()
    assert (node.value("koordnri_pods"), node.value("koordnri_containers")) == (pods + 2, containers + 1)
    node.runtime.remove_container(container)
    node.runtime.remove_pod_sandbox("short")
    node.settled()
    assert (node.value("koordnri_pods"), node.value("koordnri_containers")) == (pods + 2, containers)


def test_the_policy_in_force_is_named_and_a_refused_one_shows(tmp_path: Path) -> None:
    with driven(tmp_path) as node:
        revision = node.daemon.parts.handler.snapshot.policy.revision
        assert node.value("koordnri_policy_info", revision=revision) == 1
        assert node.value("koordnri_policy_good") == 1
        node.policy.write_text("resource-qos-config: nonsense\n")
        node.logged("policy_refused")
        assert node.value("koordnri_policy_good") == 0
        assert node.value("koordnri_policy_refused_total") == 1
        assert node.value("koordnri_policy_info", revision=revision) == 1  # the good one stays


def test_what_of_the_policy_has_no_effect_is_counted(tmp_path: Path) -> None:
    with driven(tmp_path) as node:
        before = node.value("koordnri_policy_warnings")
        node.policy.write_text(
            'resource-qos-config: \'{"clusterStrategy": {"lsClass": {"blkioQOS": {"enable": true, "blocks": '
            '[{"name": "/dev/sda", "type": "device", "ioCfg": {"readIOPS": 5}}]}}}}\'\n'
        )
        node.logged("policy_warning")
        assert node.value("koordnri_policy_warnings") == 1
        assert before == 0


def test_a_lost_connection_and_the_next_registration_are_counted(tmp_path: Path) -> None:
    with driven(tmp_path) as node:
        assert node.value("koordnri_registrations_total") == 1
        node.runtime.restart()
        node.runtime.wait_for_plugin(nth=2)
        node.settled()
        assert node.value("koordnri_registrations_total") == 2
        assert node.value("koordnri_connections_lost_total") == 1
        assert node.value("koordnri_connected") == 1


def test_lost_log_lines_are_counted(tmp_path: Path) -> None:
    with driven(tmp_path) as node:
        node.daemon.parts.writer.lost = 7
        assert node.value("koordnri_log_lines_lost_total") == 7


def test_kubernetes_events_are_counted_where_there_is_an_api_server(tmp_path: Path) -> None:
    with driven(tmp_path) as node:
        stats = EventStats(posted=5, sent=3, dropped=1)
        node.daemon.parts.event_stats = lambda: stats  # type: ignore[method-assign]  # of an API server that is not here
        assert node.value("koordnri_kube_events_posted_total") == 5
        assert node.value("koordnri_kube_events_dropped_total") == 1
        assert node.value("koordnri_kube_event_requests_total") == 3


def test_a_bug_costs_the_metrics_that_it_is_in(node: Driven) -> None:
    node.daemon.parts.ledger.counts = lambda: 1 // 0  # type: ignore[method-assign]  # a bug, for one test
    found = node.metrics()
    assert {"koordnri_pods", "koordnri_containers"} & found.keys() == set()
    assert "koordnri_released_pods" in found
    (sample,) = [s for s in found["koordnri_contained_faults"].samples if s.name.endswith("_total")]
    assert (sample.labels, sample.value) == ({"where": "metrics"}, 2)


def test_values_that_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"koordnri_events: expected values of the labels .*event.*outcome.*, got \['one'\]"
    ):
        make_family(TABLE["koordnri_events"], {"one": 1})
