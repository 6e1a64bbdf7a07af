"""The daemon beside an API server: policy from a ConfigMap, the Node's labels and annotations, pods that change after their creation.

The API server is a fake one over real HTTP; the runtime is the embedded one over a real socket.
"""

from __future__ import annotations

import errno
import gc
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kmock
import pytest

from koordnri.daemon.config import ConfigError
from koordnri.kube import topology_publisher
from koordnri.kube.topology_object import MANAGED_BY, OURS
from koordnri.model import CPUSet
from koordnri.model.fields import CPU_CPUS
from koordnri.model.topology import Topology
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from tests.daemon.running import POD_CGROUP, FakeHost, Running, create, run_pod
from tests.host.trees import HostTree
from tests.kube.fake_api import configmap, hanging, listing, status, whole
from tests.kube.fake_cluster import NAMESPACES, NODES, PODS, POLICY, POOLS, Cluster, namespace, node, pod
from tests.kube.watched import write_kubeconfig
from tests.support.system_calls import Fault, SystemCalls
from tests.support.waiting import PATIENCE_S, eventually

ASKED_US, HALVED_US = 50_000, 25_000
RATIO_2 = {"cpu-normalization-config": '{"enable": true, "defaultRatio": 2}'}
RATIO_KEY = "node.koordinator.sh/cpu-normalization-ratio"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(tmp_path / "nri.sock") as runtime:
        yield runtime


@pytest.fixture
def start(tmp_path: Path, cluster: Cluster) -> Iterator[Callable[..., Running]]:
    interval, running = sys.getswitchinterval(), []
    options = {
        "node": None,
        "node_name": "n1",
        "host_root": tmp_path / "host",
        "kubeconfig": write_kubeconfig(tmp_path, cluster.url),
        "policy_configmap": ("koordnri-system", "policy"),
    }

    def start(**config: Any) -> Running:
        running.append(Running(tmp_path, **{**options, **config}))
        return running[-1]

    yield start
    for daemon in running:
        daemon.close()
    sys.setswitchinterval(interval)
    gc.unfreeze()


def quota_of_a_new_container(runtime: Runtime, names: Iterator[str]) -> int:
    return int(create(runtime, next(names)).quota.value)


@pytest.fixture
def quota(runtime: Runtime) -> Callable[[], int]:
    """What a container that asks for 50000 µs gets now."""
    names = iter(f"c{i}" for i in range(10_000))
    return lambda: quota_of_a_new_container(runtime, names)


def test_the_policy_follows_its_configmap_and_a_bad_one_changes_nothing(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], quota: Callable[[], int]
) -> None:
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime)
    assert quota() == ASKED_US

    cluster.send(POLICY, "MODIFIED", configmap("2", RATIO_2))
    eventually(lambda: quota() == HALVED_US, "the new policy")

    cluster.send(POLICY, "MODIFIED", configmap("3", {"cpu-normalization-config": '{"enable": tru'}))
    daemon.wait_warned("cpu-normalization-config", "stays in force")
    assert quota() == HALVED_US
    eventually(lambda: daemon.daemon.parts.event_stats().posted, "the Node's Event about it to be counted")

    cluster.send(POLICY, "DELETED", configmap("4", {}))
    daemon.wait_ready()
    assert quota() == ASKED_US


@pytest.mark.parametrize("point", ["api.connect", "api.send", "api.recv"])
def test_a_broken_connection_to_the_api_server_delays_the_policy_and_costs_nothing_else(
    cluster: Cluster,
    runtime: Runtime,
    start: Callable[..., Running],
    quota: Callable[[], int],
    point: str,
    tmp_path: Path,
) -> None:
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", RATIO_2))
    address = urlsplit(cluster.url)
    assert address.hostname and address.port  # noqa: PT018  # for the type checker
    with SystemCalls({}, {"api": (address.hostname, address.port)}, tmp_path) as calls:
        calls.arm(Fault(point, errno.ECONNRESET, 1, 3))
        daemon = start()
        daemon.wait_ready()
        run_pod(runtime)
        eventually(lambda: quota() == HALVED_US, f"the policy after {calls.struck}")
        assert len(calls.struck) == 3
        assert not daemon.daemon.parts.faults.counts


def test_eviction_sees_what_the_node_offers(cluster: Cluster, runtime: Runtime, start: Callable[..., Running]) -> None:
    offered = node("1", {}, {})
    offered["status"] = {
        "capacity": {"cpu": "4"},
        "allocatable": {
            "cpu": "3500m",
            "kubernetes.io/batch-cpu": "2000",
            "kubernetes.io/batch-memory": "2Gi",
            "kubernetes.io/mid-cpu": "1000",
            "kubernetes.io/mid-memory": "1Gi",
        },
    }
    cluster.lists[NODES] = listing("Node", "1", offered)
    requests = {"kubernetes.io/mid-cpu": "700", "kubernetes.io/mid-memory": "1Mi"}
    web = pod("1", {}, priority=7500, containers=[{"name": "main", "resources": {"requests": requests}}])
    cluster.lists[PODS] = listing("Pod", "1", web)
    evict = {
        "resource-threshold-config": '{"clusterStrategy": {"enable": true}}',
        "koordnri-config": '{"clusterStrategy": {"controllers": {"evict": {"mode": "observe"}}}}',
    }
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", evict))
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    loop = daemon.daemon.parts.control_loop
    signals = eventually(lambda: loop.latest if loop.latest and loop.latest.pods else None, "a tick with the pod")
    assert (signals.be_allocatable_milli, signals.be_allocatable_bytes) == (2000, 2 << 30)
    assert (signals.mid_allocatable_milli, signals.mid_allocatable_bytes) == (1000, 1 << 30)
    assert signals.reserved_milli == 500
    assert [one.class_requests for one in signals.pods.values()] == [(700, 1 << 20)]


def is_about_the_node(request: kmock.Request) -> bool:
    """Not about the list of Nodes, which is watched."""
    return request.url.path == f"{NODES}/n1"


def test_the_node_shows_the_policy_in_force(cluster: Cluster, runtime: Runtime, start: Callable[..., Running]) -> None:
    def shown() -> list[str]:
        """Revisions in the patches of the Node."""
        patches = [r for r in cluster.requests.items if r.method == "PATCH" and r.path == f"{NODES}/n1"]
        return [r.json["metadata"]["annotations"]["koordnri.sh/policy"].partition("@")[0] for r in patches]

    cluster.answer(lambda handler: handler[is_about_the_node], whole(200, b"{}"))
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", RATIO_2))
    daemon = start(annotate_node=True)
    daemon.wait_ready()
    parts = daemon.daemon.parts
    eventually(lambda: shown() == [parts.present.snapshot.policy.revision], "the policy on the Node")
    cluster.send(POLICY, "DELETED", configmap("2", {}))
    eventually(lambda: len(shown()) == 2, "the defaults on the Node")
    assert shown()[1] == parts.present.snapshot.policy.revision != shown()[0]


TOPOLOGY = "/apis/topology.node.k8s.io/v1alpha2/noderesourcetopologies/n1"
ZONES = {"koordnri-config": "{publishTopology: zones}"}


def is_about_the_topology(request: kmock.Request) -> bool:
    return request.url.path == TOPOLOGY


def test_the_node_is_published_while_the_policy_says_so(
    cluster: Cluster,
    runtime: Runtime,
    start: Callable[..., Running],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(method: str) -> list[Any]:
        return [r for r in cluster.requests.items if r.method == method and "/noderesourcetopologies/n1" in r.path]

    monkeypatch.setattr(topology_publisher, "SETTLE_S", 0.01)
    HostTree(tmp_path / "host").cpus(Topology.regular(1, 2, 4, 1))
    applied = {"kind": "NodeResourceTopology", "metadata": {"name": "n1", "labels": {MANAGED_BY: OURS}}}
    cluster.answer(lambda handler: handler[is_about_the_topology], whole(200, json.dumps(applied).encode()))
    cluster.lists[POOLS] = listing("NodeResourceTopology", "1")
    daemon = start()
    daemon.wait_ready()
    assert asked("PATCH") == []

    cluster.send(POLICY, "MODIFIED", configmap("2", ZONES))
    eventually(lambda: asked("PATCH"), "it to be published")
    zones = asked("PATCH")[0].json["zones"]
    assert [zone["resources"][0]["available"] for zone in zones] == ["4", "4"]
    assert asked("PATCH")[0].json["metadata"]["ownerReferences"][0]["uid"] == "n"

    cluster.send(POOLS, "ADDED", {**applied, "metadata": {**applied["metadata"], "resourceVersion": "2"}})
    cluster.send(POLICY, "MODIFIED", configmap("3", {}))
    eventually(lambda: asked("DELETE"), "it to be withdrawn")
    publisher = daemon.daemon.parts.topology
    assert publisher is not None
    assert publisher.problem == ""


def test_a_topology_of_koordlet_is_a_warning(
    cluster: Cluster,
    runtime: Runtime,
    start: Callable[..., Running],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topology_publisher, "SETTLE_S", 0.01)
    HostTree(tmp_path / "host").cpus(Topology.regular(1, 2, 4, 1))
    theirs = {"kind": "NodeResourceTopology", "metadata": {"name": "n1", "labels": {MANAGED_BY: "Koordinator"}}}
    cluster.answer(lambda handler: handler[is_about_the_topology], whole(200, json.dumps(theirs).encode()))
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", ZONES))
    daemon = start()
    daemon.wait_ready()
    daemon.wait_warned("NodeResourceTopology not published", "belongs to Koordinator")
    assert not [r for r in cluster.requests.items if r.method == "PATCH" and r.path == TOPOLOGY]


def test_a_node_that_may_not_be_annotated_is_a_warning(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running]
) -> None:
    cluster.answer(lambda handler: handler[is_about_the_node], status(403, "nodes is forbidden"))
    daemon = start(annotate_node=True)
    warnings = daemon.daemon.parts.readiness.warnings
    text = "API server: this Node cannot be annotated: PATCH /api/v1/nodes/n1"
    eventually(lambda: any(w.startswith(text) for w in warnings()), "a warning")
    assert daemon.readiness()[0] == 200


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({"kubeconfig": None, "policy_configmap": None}, "--policy-configmap or --kubeconfig"),
        ({"node_name": ""}, "--node-name"),
    ],
)
def test_annotating_takes_a_way_to_the_node(
    start: Callable[..., Running], config: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ConfigError, match=missing):
        start(annotate_node=True, **config)


def test_the_last_good_policy_is_in_force_while_the_api_server_is_away(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], quota: Callable[[], int], tmp_path: Path
) -> None:
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", RATIO_2))
    first = start()
    first.wait_ready()
    eventually(lambda: (tmp_path / "state" / "policy.json").exists(), "the policy to be kept")
    assert first.stop() == 0
    cluster.close()

    daemon = start()
    daemon.wait_not_ready("not read from the API server yet")
    warnings = daemon.daemon.parts.readiness.warnings
    down = "API server: pods cannot be watched: "
    eventually(lambda: any(w.startswith(down) for w in warnings()), "a warning about the pods")
    assert not any("configmap" in w for w in warnings()), "that is a problem already"

    assert json.loads((tmp_path / "state" / "policy.json").read_text()) == RATIO_2
    eventually(lambda: len(runtime.plugins) == 1, "registered again")
    run_pod(runtime)
    eventually(lambda: quota() == HALVED_US, "the last good policy")


def test_labels_and_annotations_of_the_node_count(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], quota: Callable[[], int]
) -> None:
    start().wait_ready()
    run_pod(runtime)
    assert quota() == ASKED_US

    cluster.send(NODES, "MODIFIED", node("2", {}, {RATIO_KEY: "2.00"}))
    eventually(lambda: quota() == HALVED_US, "the node's ratio")

    strategy = {"nodeConfigs": [{"name": "fast", "nodeSelector": {"matchLabels": {"cpu": "fast"}}, "defaultRatio": 4}]}
    cluster.send(
        POLICY, "MODIFIED", configmap("3", {"cpu-normalization-config": json.dumps({"enable": True, **strategy})})
    )
    cluster.send(NODES, "MODIFIED", node("4", {"cpu": "fast"}, {}))
    eventually(lambda: quota() == 12_500, "the strategy that the label selects")


def test_assigned_cpus_are_followed_once_the_spec_names_a_believed_scheduler(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running]
) -> None:
    key = "scheduling.koordinator.sh/resource-status"
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime, {key: '{"cpuset": "2-3"}'})
    assert create(runtime).cpus == "", "its spec is not known yet"

    cluster.send(PODS, "ADDED", pod("2", {key: '{"cpuset": "4"}'}, schedulerName="koord-scheduler"))

    def cpus() -> str:
        runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(shares=api.OptionalUInt64(value=512))))
        return runtime.containers["c1"].spec.linux.resources.cpu.cpus

    eventually(lambda: cpus() == "4", "the assigned CPU")
    cluster.send(PODS, "MODIFIED", pod("3", {key: '{"cpuset": "5"}'}, schedulerName="koord-scheduler"))
    eventually(lambda: cpus() == "5", "the newer annotation")
    cluster.send(PODS, "MODIFIED", pod("4", {key: '{"cpuset": "5-6"}'}, schedulerName="koord-scheduler"))
    refused = daemon.wait_logged("not_entitled", 2)
    assert "it names 2 CPUs (5-6), and the pod requests 1" in refused["error"]


def test_after_a_restart_a_pinned_pod_keeps_its_cpus_until_the_api_server_answers(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("koordnri.daemon.daemon.CLUSTER_PATIENCE_S", 2 * PATIENCE_S)
    pods = listing("Pod", "1", pod("1", {STATUS_KEY: '{"cpuset": "2"}'}, schedulerName="koord-scheduler"))
    cluster.lists[PODS] = pods
    first = start()
    first.wait_ready()
    run_pod(runtime, {STATUS_KEY: '{"cpuset": "2"}'})
    assert create(runtime).cpus == "2"
    assert first.stop() == 0

    answer, asked, heard = threading.Event(), threading.Event(), list[Any]()

    def late() -> Any:
        asked.set()
        assert answer.wait(PATIENCE_S)
        return pods

    cluster.lists[PODS] = late
    second = start(listener=lambda pod, container, event, decision: heard.append(decision.value(CPU_CPUS)))
    try:
        second.wait_not_ready("at most for the API server's first answers")
        assert asked.wait(PATIENCE_S)
        assert (runtime.registrations, heard) == (1, []), "nothing is decided without the pod's spec"
    finally:
        answer.set()
    second.wait_ready()
    eventually(lambda: heard, "its container to be decided again")
    assert set(heard) == {"2"}
    assert runtime.containers["c1"].spec.linux.resources.cpu.cpus == "2"


@pytest.mark.parametrize("silent", [PODS, NAMESPACES])
def test_a_silent_api_server_is_not_waited_for_forever(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    monkeypatch.setattr("koordnri.daemon.daemon.CLUSTER_PATIENCE_S", 0.2)
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", BY_LABELS))
    cluster.lists[silent] = hanging()
    daemon = start()
    eventually(lambda: runtime.registrations == 1, "registered without an answer")
    assert not daemon.daemon.parts.cluster.answered


STATUS_KEY = "scheduling.koordinator.sh/resource-status"
BY_LABELS = {
    "koordnri-config": json.dumps(
        {"clusterStrategy": {"trust": {"resourceStatus": {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}}}}
    )
}


def about_namespaces(cluster: Cluster) -> list[Any]:
    return [request for request in cluster.requests.items if request.path == NAMESPACES]


def cpus_now(runtime: Runtime) -> str:
    """The container's cpuset, once the daemon has had an occasion to change it."""
    runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(shares=api.OptionalUInt64(value=512))))
    return runtime.containers["c1"].spec.linux.resources.cpu.cpus


def test_running_pods_follow_the_labels_of_their_namespace_while_a_rule_needs_them(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running]
) -> None:
    cluster.lists[PODS] = listing("Pod", "1", pod("1", {STATUS_KEY: '{"cpuset": "2"}'}))
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime, {STATUS_KEY: '{"cpuset": "2"}'})
    assert create(runtime).cpus == ""
    assert about_namespaces(cluster) == [], "no rule needs them yet"

    cluster.send(POLICY, "MODIFIED", configmap("2", BY_LABELS))
    eventually(lambda: about_namespaces(cluster), "Namespaces to be watched")
    cluster.send(NAMESPACES, "MODIFIED", namespace("2", team="hpc"))
    eventually(lambda: cpus_now(runtime) == "2", "the CPU, since the namespace has the label")
    cluster.send(NAMESPACES, "MODIFIED", namespace("3", team="web"))
    names = (f"new-{i}" for i in range(10_000))
    eventually(lambda: create(runtime, next(names)).cpus == "", "the CPU to be gone with the label")

    cluster.send(POLICY, "MODIFIED", configmap("4", {}))
    watches = daemon.daemon.parts.watch_stats
    eventually(lambda: "namespaces" not in watches(), "the watch to end, since no rule needs it")


def test_a_start_waits_for_the_labels_so_that_running_pods_keep_what_they_have(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("koordnri.daemon.daemon.CLUSTER_PATIENCE_S", 2 * PATIENCE_S)
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", BY_LABELS))
    cluster.lists[PODS] = listing("Pod", "1", pod("1", {STATUS_KEY: '{"cpuset": "2"}'}))
    answer = threading.Event()

    def namespaces() -> Any:
        assert answer.wait(PATIENCE_S)
        return listing("Namespace", "1", namespace("1", team="hpc"))

    cluster.lists[NAMESPACES] = namespaces
    daemon = start()
    try:
        eventually(lambda: daemon.daemon.parts.cluster.synced, "all other kinds to be listed")
        daemon.wait_not_ready("at most for the API server's first answers")
        assert runtime.registrations == 0
    finally:
        answer.set()
    daemon.wait_ready()
    run_pod(runtime, {STATUS_KEY: '{"cpuset": "2"}'})
    assert create(runtime).cpus == "2"


def test_without_the_right_to_watch_namespaces_nobody_is_believed_by_labels(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("koordnri.daemon.daemon.CLUSTER_PATIENCE_S", 0.0)
    cluster.lists[POLICY] = listing("ConfigMap", "1", configmap("1", BY_LABELS))
    cluster.lists[PODS] = listing("Pod", "1", pod("1", {STATUS_KEY: '{"cpuset": "2"}'}))
    cluster.lists[NAMESPACES] = status(403, "namespaces is forbidden")
    daemon = start()
    daemon.wait_warned("namespaces cannot be watched", "namespaces is forbidden")
    eventually(lambda: daemon.daemon.parts.cluster.synced, "all other kinds to be listed")
    run_pod(runtime, {STATUS_KEY: '{"cpuset": "2"}'})
    assert create(runtime).cpus == ""
    line = daemon.wait_logged("not_entitled")
    assert line["outcome"] == "unknown"
    assert "the labels of namespace shop are not known" in line["error"]


@pytest.mark.parametrize("late", [False, True], ids=["spec-first", "spec-later"])
def test_without_claims_in_its_spec_no_pod_takes_cpus_by_its_environment(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], tmp_path: Path, late: bool
) -> None:
    HostTree(tmp_path / "host").cpus(Topology.regular(1, 1, 4, 1)).cgroup_v2()
    if not late:
        cluster.lists[PODS] = listing("Pod", "1", pod("1", {}))
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime)
    container = api.Container(id="c1", name="main", pod_sandbox_id="p1", env=["DRA_CPUSET_claim=0-1"])
    runtime.create_container("p1", container)

    def believed() -> dict[str, dict[str, CPUSet]]:
        return {p: dict(of) for p, of in daemon.daemon.parts.present.up_to_date().node.dra_cpus.items()}

    if late:
        assert list(believed().values()) == [{"main": CPUSet.parse("0-1")}]
        cluster.send(PODS, "ADDED", pod("2", {}))
        eventually(lambda: believed() == {}, "the CPUs to be given back")
    assert believed() == {}
    cluster.requests.until(
        lambda seen: any(r.path.endswith("/shop/events") and r.json["reason"] == "NotEntitled" for r in seen)
    )


@pytest.mark.parametrize(("driver", "cpus"), [("dra.cpu", "0"), ("gpu.example.com", "")])
def test_cpus_in_the_environment_are_believed_by_the_driver_of_the_pods_claims(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], tmp_path: Path, driver: str, cpus: str
) -> None:
    HostTree(tmp_path / "host").cpus(Topology.regular(1, 1, 4, 1)).cgroup_v2()
    allocation = {"devices": {"results": [{"driver": driver, "pool": "n1", "device": "cpu-0"}]}}
    claim = {"kind": "ResourceClaim", "metadata": {"name": "c"}, "status": {"allocation": allocation}}
    path = "/apis/resource.k8s.io/v1/namespaces/shop/resourceclaims/c"
    answer = whole(200, json.dumps(claim).encode(), Content_Type="application/json")
    cluster.answer(lambda handler: handler[lambda request: request.url.path == path], answer)
    claims = [{"name": "cpus", "resourceClaimName": "c"}]
    cluster.lists[PODS] = listing("Pod", "1", pod("1", {}, resourceClaims=claims))
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime)
    container = api.Container(id="c1", name="main", pod_sandbox_id="p1", env=["DRA_CPUSET_claim=0"])
    runtime.create_container("p1", container)
    found = daemon.daemon.parts.present.up_to_date().node.dra_cpus
    assert [str(given) for of_pod in found.values() for given in of_pod.values()] == ([cpus] if cpus else [])


EVICT = {
    "resource-threshold-config": '{"enable": true}',
    "koordnri-config": '{"controllers": {"evict": {"mode": "enforce"}}}',
}


def test_a_be_pod_is_evicted_while_memory_is_short(
    cluster: Cluster, runtime: Runtime, start: Callable[..., Running], tmp_path: Path
) -> None:
    host = FakeHost(tmp_path / "host").tree
    host.write("proc/meminfo", f"MemTotal: {10 << 20} kB\nMemAvailable: {1 << 20} kB\n")
    host.write("proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\n")
    host.write(f"sys/fs/cgroup/{POD_CGROUP}/memory.current", f"{5 << 30}\n")
    host.write(f"sys/fs/cgroup/{POD_CGROUP}/memory.stat", "inactive_file 0\n")
    labels, batch = {"koordinator.sh/qosClass": "BE"}, pod("1", {}, priority=5000)
    batch["metadata"]["labels"] = labels
    cluster.lists[PODS] = listing("Pod", "1", batch)
    path = "/api/v1/namespaces/shop/pods/web/eviction"
    refused = status(429, "Cannot evict pod as it would violate the pod's disruption budget.")
    cluster.answer(lambda handler: handler[lambda request: request.url.path == path], refused)
    daemon = start()
    daemon.wait_ready()
    run_pod(runtime, labels=labels)
    create(runtime)
    runtime.start_container("c1")

    cluster.send(POLICY, "MODIFIED", configmap("2", EVICT))

    parts = daemon.daemon.parts
    eventually(lambda: ("BEMemoryEvict", "budget") in parts.eviction_counts(), "the budget's refusal")
    request, *_ = [request for request in cluster.requests.items if request.path == path]
    assert request.json["deleteOptions"] == {"preconditions": {"uid": "uid-1"}}
    last = parts.questions["status"]({})["eviction"]["last"]
    assert (last["pod"], last["outcome"]) == ("shop/web", "budget")
    # Under another policy nobody is evicted.
    cluster.send(POLICY, "MODIFIED", configmap("3", {}))
    eventually(lambda: parts.questions["status"]({})["eviction"]["mode"] == "off", "the other policy")
