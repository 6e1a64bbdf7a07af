"""Kubelet's arithmetic, and that its messages read back as the daemon reads them."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.kubelet import PodManifest, SimulatedPod, pod_messages
from koordnri.kubelet.messages import cgroup_parent, oom_score_adj
from koordnri.model import KubeQoS, NodeState
from koordnri.policy.reader import read
from koordnri.policy.report import Report
from koordnri.session.translate import container_from, pod_from

UID = "1b6d3c1e-0000-4000-8000-000000000001"
GIB = 1 << 30


def resources(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"requests": requests or {}, "limits": limits or {}}


def simulated(
    containers: list[dict[str, Any]],
    init: list[dict[str, Any]] | None = None,
    node: NodeState | None = None,
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> SimulatedPod:
    """Pod of containers given by their resources (or whole, with a name)."""

    def named(prefix: str, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [c if "name" in c else {"name": f"{prefix}{i}", "resources": c} for i, c in enumerate(listed)]

    value = {
        "metadata": {"name": "web", "uid": UID, **(metadata or {})},
        "spec": {"containers": named("c", containers), "initContainers": named("i", init or []), **spec},
    }
    report = Report()
    manifest = read(PodManifest, value, report)
    assert report.mistakes == []
    return pod_messages(manifest, node or NodeState())


def bad(spec: dict[str, Any]) -> list[str]:
    report = Report()
    read(PodManifest, {"spec": spec}, report)
    return [str(m) for m in report.mistakes]


FULL = resources({"cpu": "2", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"})


@pytest.mark.parametrize(
    ("containers", "init", "expected"),
    [
        ([FULL], [], KubeQoS.GUARANTEED),
        ([resources(limits={"cpu": "2", "memory": "1Gi"})], [], KubeQoS.GUARANTEED),  # requests default to limits
        ([resources({"cpu": "2000m", "memory": 2**30}, {"cpu": 2, "memory": "1Gi"})], [], KubeQoS.GUARANTEED),
        ([FULL], [FULL], KubeQoS.GUARANTEED),
        ([FULL], [{}], KubeQoS.BURSTABLE),
        ([FULL, {}], [], KubeQoS.BURSTABLE),
        ([resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"})], [], KubeQoS.BURSTABLE),
        ([resources(limits={"cpu": "2"})], [], KubeQoS.BURSTABLE),
        ([resources({"cpu": "0"}, {"cpu": "1", "memory": "1Gi"})], [], KubeQoS.BURSTABLE),
        ([{}], [resources({"cpu": "1m"})], KubeQoS.BURSTABLE),
        ([{}], [], KubeQoS.BESTEFFORT),
        ([resources({"cpu": "0"}, {"memory": "0"})], [], KubeQoS.BESTEFFORT),
        ([resources({"kubernetes.io/batch-cpu": "500"}, {"kubernetes.io/batch-cpu": "500"})], [], KubeQoS.BESTEFFORT),
    ],
)
def test_qos_class(containers: list[dict[str, Any]], init: list[dict[str, Any]], expected: KubeQoS) -> None:
    pod = simulated(containers, init)
    assert pod.kube_qos is expected
    assert pod_from(pod.sandbox).kube_qos is expected  # the daemon tells it from the cgroup's name


def test_resources_of_the_pod_decide_its_class() -> None:
    assert simulated([{}], resources=FULL).kube_qos is KubeQoS.GUARANTEED
    assert simulated([FULL], resources=resources({"cpu": "3"})).kube_qos is KubeQoS.BURSTABLE


@pytest.mark.parametrize(
    ("driver", "qos", "expected"),
    [
        ("cgroupfs", KubeQoS.GUARANTEED, f"/kubepods/pod{UID}"),
        ("cgroupfs", KubeQoS.BESTEFFORT, f"/kubepods/besteffort/pod{UID}"),
        ("systemd", KubeQoS.GUARANTEED, "/kubepods.slice/kubepods-pod1b6d3c1e_0000_4000_8000_000000000001.slice"),
        (
            "systemd",
            KubeQoS.BURSTABLE,
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b6d3c1e_0000_4000_8000_000000000001.slice",
        ),
    ],
)
def test_cgroup_parent(driver: str, qos: KubeQoS, expected: str) -> None:
    assert cgroup_parent(driver, qos, UID) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        # shares, quota, memory limit as the daemon reads them; None is absent
        ({}, (2, None, None)),
        (resources({"cpu": "500m", "memory": "64Mi"}), (512, None, None)),
        (resources({"cpu": "500m"}, {"cpu": "1500m", "memory": "1Gi"}), (512, 150_000, GIB)),
        (resources(limits={"cpu": "2"}), (2048, 200_000, None)),
        (resources(limits={"cpu": "1m"}), (2, 1_000, None)),  # the kernel takes no quota below 1000 µs
        (resources({"cpu": "0.1"}, {"cpu": 0}), (102, None, None)),
    ],
)
def test_baseline_of_a_container(asked: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    (message,) = simulated([asked]).containers
    baseline = container_from(message).baseline
    assert (baseline.cpu_shares, baseline.cpu_quota, baseline.memory_limit) == expected
    assert baseline.cpu_period == 100_000


@pytest.mark.parametrize(
    ("containers", "init", "expected"),
    [
        ([FULL, FULL], [], (4096, 400_000, 2 * GIB)),
        ([FULL, resources({"cpu": "1"})], [], (3072, None, None)),
        ([FULL, resources({"cpu": "1"}, {"cpu": "1"})], [], (3072, 300_000, None)),
        # An init container runs alone: the larger of both counts.
        ([FULL], [resources(limits={"cpu": "3", "memory": "1Mi"})], (3072, 300_000, GIB)),
        ([FULL], [{}], (2048, None, None)),
        # A sidecar runs beside everything that comes after it, and only that.
        ([FULL], [{"name": "s", "restartPolicy": "Always", "resources": FULL}], (4096, 400_000, 2 * GIB)),
        (
            [FULL],
            [
                {"name": "s", "restartPolicy": "Always", "resources": FULL},
                {"name": "i", "resources": resources(limits={"cpu": "4", "memory": "1Gi"})},
            ],
            (6144, 600_000, 2 * GIB),
        ),
        (
            [FULL],
            [
                {"name": "i", "resources": resources(limits={"cpu": "3", "memory": "1Gi"})},
                {"name": "s", "restartPolicy": "Always", "resources": FULL},
            ],
            (4096, 400_000, 2 * GIB),
        ),
    ],
)
def test_sums_of_the_pod(
    containers: list[dict[str, Any]], init: list[dict[str, Any]], expected: tuple[int | None, ...]
) -> None:
    of_pod = pod_from(simulated(containers, init).sandbox).resources
    assert (of_pod.cpu_shares, of_pod.cpu_quota, of_pod.memory_limit) == expected


SIDECAR = {"name": "s", "restartPolicy": "Always", "resources": resources({"cpu": "250m", "memory": "64Mi"})}
POD_OF_2 = resources({"cpu": "2", "memory": "2Gi"}, {"cpu": "2", "memory": "2Gi"})


@pytest.mark.parametrize(
    ("own", "container", "expected"),
    [
        # shares, quota, memory limit
        pytest.param(POD_OF_2, {}, (2048, 200_000, 2 * GIB), id="none-of-its-own"),
        pytest.param(POD_OF_2, resources({"cpu": "500m"}), (512, 200_000, 2 * GIB), id="a-request"),
        pytest.param(POD_OF_2, resources(limits={"cpu": "1"}), (1024, 100_000, 2 * GIB), id="a-limit-of-cpu"),
        pytest.param(POD_OF_2, FULL, (2048, 200_000, GIB), id="both"),
        pytest.param(POD_OF_2, resources({"cpu": 0}, {"cpu": 0}), (2, 200_000, 2 * GIB), id="a-limit-of-0-is-none"),
        pytest.param(resources({"cpu": "2"}), {}, (2, None, None), id="the-pod-has-no-limit"),
        pytest.param(resources(limits={"memory": "2Gi"}), {}, (2, None, 2 * GIB), id="of-memory-only"),
    ],
)
def test_a_container_without_a_limit_gets_that_of_its_pod(
    own: dict[str, Any], container: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    (message,) = simulated([container], resources=own).containers
    baseline = container_from(message).baseline
    assert (baseline.cpu_shares, baseline.cpu_quota, baseline.memory_limit) == expected


@pytest.mark.parametrize(
    ("containers", "init", "own", "expected"),
    [
        pytest.param([{}], [], resources(limits={"cpu": "2"}), {"cpu": "2"}, id="the-limit-where-nobody-asks"),
        pytest.param(
            [resources({"cpu": "500m"}), {}], [], resources(limits={"cpu": "2"}), {"cpu": "500m"}, id="else-their-sum"
        ),
        pytest.param(
            [resources({"cpu": "500m", "memory": "1Gi"})], [SIDECAR], resources(limits={"cpu": "2", "memory": "2Gi"}),
            {"cpu": "750m", "memory": GIB + (64 << 20)}, id="with-sidecars",
        ),
        pytest.param([resources({"memory": "1Gi"})], [], POD_OF_2, POD_OF_2["requests"], id="nothing-to-add"),
        pytest.param([FULL], [], resources({"cpu": "3"}), {"cpu": "3"}, id="without-limits-nothing-is-added"),
        pytest.param([FULL], [], {}, {}, id="no-resources-of-its-own"),
    ],
)  # fmt: skip
def test_a_pods_own_requests_are_completed_as_by_the_api_server(
    containers: list[dict[str, Any]], init: list[dict[str, Any]], own: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert simulated(containers, init, resources=own).spec.requests == expected


OVERHEAD = {"cpu": "250m", "memory": "120Mi"}


@pytest.mark.parametrize(
    ("containers", "overhead", "expected"),
    [
        pytest.param([FULL], {}, (2048, 200_000, GIB), id="as-the-sandbox-says"),
        pytest.param([FULL], OVERHEAD, (2304, 225_000, GIB + (120 << 20)), id="with-overhead"),
        pytest.param([FULL, resources({"cpu": "1"})], OVERHEAD, (3328, None, None), id="overhead-alone-is-no-limit"),
        pytest.param([{}], OVERHEAD, (2, None, None), id="BestEffort-has-the-least-shares"),
    ],
)
def test_the_pods_own_cgroup_has_its_overhead(
    containers: list[dict[str, Any]], overhead: dict[str, str], expected: tuple[int | None, ...]
) -> None:
    pod = simulated(containers, overhead=overhead)
    cgroup = pod.cgroup
    assert (cgroup.cpu_shares, cgroup.cpu_quota, cgroup.memory_limit) == expected
    if not overhead:
        assert cgroup == pod_from(pod.sandbox).resources


def test_what_containers_leave_of_the_pods_memory_counts_for_their_oom_scores() -> None:
    node = NodeState(memory_bytes=8 * GIB)
    own = resources({"memory": "4Gi"}, {"memory": "6Gi"})
    pod = simulated([resources({"memory": "2Gi"}), {}], node=node, resources=own)
    # Of 4 Gi requested, 2 Gi are left: 1 Gi for each.
    assert [c.linux.oom_score_adj.value for c in pod.containers] == [1000 - 375, 1000 - 125]


def test_resources_of_the_pod_are_its_limits() -> None:
    of_pod = pod_from(simulated([{}], resources=resources({"cpu": "1"}, {"cpu": "2"})).sandbox).resources
    assert (of_pod.cpu_shares, of_pod.cpu_quota, of_pod.memory_limit) == (1024, 200_000, None)


@pytest.mark.parametrize(
    ("qos", "critical", "request_bytes", "expected"),
    [
        (KubeQoS.GUARANTEED, False, 0, -997),
        (KubeQoS.BESTEFFORT, False, 0, 1000),
        (KubeQoS.BESTEFFORT, True, 0, -997),
        (KubeQoS.BURSTABLE, False, 0, 999),
        (KubeQoS.BURSTABLE, False, 16 * GIB, 750),
        (KubeQoS.BURSTABLE, False, 64 * GIB, 3),
        (KubeQoS.BURSTABLE, False, 65 * GIB, 3),
    ],
)
def test_oom_score(qos: KubeQoS, critical: bool, request_bytes: int, expected: int) -> None:
    assert oom_score_adj(qos, critical, request_bytes, 64 * GIB) == expected


def test_oom_score_without_the_nodes_memory() -> None:
    assert oom_score_adj(KubeQoS.BURSTABLE, False, GIB, 0) == 999


def test_init_containers_come_first() -> None:
    pod = simulated([{"name": "main"}], [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}])
    assert [c.name for c in pod.containers] == ["setup", "proxy", "main"]
    assert list(pod.spec.containers) == ["setup", "proxy", "main"]


def test_only_literal_variables_are_known() -> None:
    env = [
        {"name": "A", "value": "1=2"},
        {"name": "EMPTY"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    (container,) = simulated([{"name": "main", "env": env}]).containers
    assert list(container.env) == ["A=1=2", "EMPTY="]


def test_labels_and_annotations_reach_the_pod_and_not_the_container() -> None:
    pod = simulated([{}], metadata={"labels": {"app": "web"}, "annotations": {"a": "b"}})
    assert pod.sandbox.labels["app"] == "web"
    assert pod.sandbox.labels["io.kubernetes.pod.uid"] == UID
    assert pod.sandbox.annotations["a"] == "b"
    (container,) = pod.containers
    assert container.labels["io.kubernetes.container.name"] == "c0"
    assert "a" not in container.annotations


def test_messages_are_the_same_every_time() -> None:
    first, second = (simulated([FULL], metadata={"uid": ""}) for _ in range(2))
    assert first.sandbox == second.sandbox
    assert first.containers == second.containers
    assert first.sandbox.uid


@pytest.mark.parametrize(("version", "unified"), [(1, {}), (2, {"memory.oom.group": "1"})])
def test_unified_only_on_cgroup_v2(version: int, unified: dict[str, str]) -> None:
    (container,) = simulated([{}], node=NodeState(cgroup_version=version)).containers
    assert dict(container.linux.resources.unified) == unified


@pytest.mark.parametrize(
    ("spec", "mistakes"),
    [
        ({}, ["spec.containers: expected a value, it is missing"]),
        ({"containers": []}, ["spec.containers: expected at least one container, got none"]),
        ({"containers": [{}]}, ["spec.containers[0].name: expected a value, it is missing"]),
        (
            {"containers": [{"name": "a"}], "initContainers": [{"name": "a"}]},
            ['spec.containers[0].name: a second container of the name "a"'],
        ),
        (
            {"containers": [{"name": "a", "resources": resources({"cpu": "2x"}, {"memory": []})}]},
            [
                'spec.containers[0].resources.requests.cpu: expected a quantity such as 500m, 2 or 1Gi, got "2x"',
                "spec.containers[0].resources.limits.memory: expected a quantity such as 500m, 2 or 1Gi, got []",
            ],
        ),
        (
            {"containers": [{"name": "a", "resources": resources({"cpu": "-1", "memory": "9E"}, {"cpu": "2M"})}]},
            [
                'spec.containers[0].resources.requests.cpu: expected a quantity of 0 or more, got "-1"',
                'spec.containers[0].resources.limits.cpu: expected a quantity up to 1000000, got "2M"',
            ],
        ),
        (
            {"containers": [{"name": "a", "env": [{"name": "A", "value": 1}]}]},
            ["spec.containers[0].env[0].value: expected text, got 1"],
        ),
        (
            {"containers": [{"name": "a"}], "overhead": {"cpu": True}},
            ["spec.overhead.cpu: expected a quantity such as 500m, 2 or 1Gi, got true"],
        ),
    ],
)
def test_mistakes(spec: dict[str, Any], mistakes: list[str]) -> None:
    assert bad(spec) == mistakes


def test_the_pods_own_resources_and_its_overhead_reach_its_spec_as_the_api_server_has_them() -> None:
    whole = resources({"cpu": "2"}, {"cpu": "4", "memory": "1Gi"})
    spec = simulated([{}], resources=whole, overhead={"cpu": "250m"}).spec
    assert (spec.requests, spec.limits) == ({"cpu": "2", "memory": "1Gi"}, whole["limits"])
    assert spec.overhead == {"cpu": "250m"}
    bare = simulated([{}]).spec
    assert (bare.requests, bare.limits, bare.overhead) == ({}, {}, {})
