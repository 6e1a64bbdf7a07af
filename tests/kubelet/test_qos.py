"""Kubernetes' QoS class and the resource sums of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.model import KubeQoS, NodeState
from koordnri.session.translate import container_from, pod_from
from tests.kubelet.simulated import FULL, GIB, POD_OF_2, SIDECAR, resources, simulated


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
    assert pod_from(pod.sandbox).kube_qos is expected  # the daemon reads it from the cgroup's name


def test_resources_of_the_pod_decide_its_class() -> None:
    assert simulated([{}], resources=FULL).kube_qos is KubeQoS.GUARANTEED
    assert simulated([FULL], resources=resources({"cpu": "3"})).kube_qos is KubeQoS.BURSTABLE


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


def test_what_containers_leave_of_the_pods_memory_counts_for_their_oom_scores() -> None:
    node = NodeState(memory_bytes=8 * GIB)
    own = resources({"memory": "4Gi"}, {"memory": "6Gi"})
    pod = simulated([resources({"memory": "2Gi"}), {}], node=node, resources=own)
    # Of 4 Gi requested, 2 Gi are left: 1 Gi for each.
    assert [c.linux.oom_score_adj.value for c in pod.containers] == [1000 - 375, 1000 - 125]
