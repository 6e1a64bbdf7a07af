"""Kubelet's arithmetic, and that its messages read back as the daemon reads them."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.kubelet.messages import cgroup_parent, oom_score_adj
from koordnri.model import KubeQoS, NodeState
from koordnri.session.translate import container_from, pod_from
from tests.kubelet.simulated import FULL, GIB, UID, resources, simulated


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


def test_the_pods_own_resources_and_its_overhead_reach_its_spec_as_the_api_server_has_them() -> None:
    whole = resources({"cpu": "2"}, {"cpu": "4", "memory": "1Gi"})
    spec = simulated([{}], resources=whole, overhead={"cpu": "250m"}).spec
    assert (spec.requests, spec.limits) == ({"cpu": "2", "memory": "1Gi"}, whole["limits"])
    assert spec.overhead == {"cpu": "250m"}
    bare = simulated([{}]).spec
    assert (bare.requests, bare.limits, bare.overhead) == ({}, {}, {})
