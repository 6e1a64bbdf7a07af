"""Kubelet's quota of a pod, where the pod's own file does not show it: koordnri lost its notes, and the file has koordnri's value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from koordnri.model import Container, Pod, Resources
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.reconcile.pods_quota import pods_quota, quotas_by_name
from tests.reconcile.fake_node import HALVED, FakeNode, quotas_of
from tests.support.pods import pod


def pod_of(spec: PodSpec | None = None, period: int | None = None) -> Pod:
    return pod(name="p", spec=spec, resources=Resources(cpu_period=period))


def total(spec: PodSpec | None, period: int | None = None, **quotas: int | None) -> int:
    pod = pod_of(spec, period)
    containers = [Container(n, n, "p", Resources(cpu_quota=quota)) for n, quota in quotas.items()]
    return pods_quota(pod, quotas_by_name(pod, containers, {}))


def spec(**more: Any) -> PodSpec:
    return PodSpec({"a": ContainerSpec({}, {}), "b": ContainerSpec({}, {})}, **more)


@pytest.mark.parametrize(
    ("reported", "quotas", "expected"),
    [
        pytest.param(None, {"a": 50_000, "b": 25_000}, 75_000, id="the-sum"),
        pytest.param(None, {"a": 50_000, "b": None}, 0, id="none-where-a-container-has-none"),
        pytest.param(None, {}, 0, id="no-containers"),
        pytest.param(spec(limits={"cpu": "2"}), {"a": 200_000, "b": 200_000}, 200_000, id="the-pods-own"),
        pytest.param(
            spec(limits={"memory": "1Gi"}), {"a": 50_000, "b": 25_000}, 75_000, id="its-own-is-of-memory-only"
        ),
        pytest.param(spec(limits={"memory": "1Gi"}), {"a": 50_000, "b": None}, 0, id="and-a-container-has-none"),
        pytest.param(spec(limits={"cpu": "x"}), {"a": 50_000, "b": 25_000}, 75_000, id="its-own-is-no-quantity"),
        pytest.param(spec(overhead={"cpu": "250m"}), {"a": 50_000, "b": 25_000}, 100_000, id="with-overhead"),
        pytest.param(spec(overhead={"cpu": "250m"}), {"a": 50_000, "b": None}, 0, id="overhead-alone-is-no-limit"),
        pytest.param(
            spec(limits={"cpu": "2"}, overhead={"cpu": "250m"}),
            {"a": 200_000},
            225_000,
            id="the-pods-own-with-overhead",
        ),
    ],
)
def test_kubelets_quota_of_a_pod(reported: PodSpec | None, quotas: dict[str, int | None], expected: int) -> None:
    assert total(reported, **quotas) == expected


def test_the_pods_own_goes_by_kubelets_period() -> None:
    assert total(spec(limits={"cpu": "2"}, overhead={"cpu": "500m"}), 20_000, a=40_000) == 50_000


def test_what_was_known_stays_where_two_containers_of_a_name_disagree() -> None:
    two = [Container("1", "a", "p", Resources(cpu_quota=10_000)), Container("2", "a", "p", Resources(cpu_quota=20_000))]
    assert quotas_by_name(pod_of(), two, {"a": 10_000}) == {"a": 10_000}


@pytest.mark.parametrize(
    ("reported", "quotas", "of_pod"),
    [
        pytest.param(spec(overhead={"cpu": "250m"}), {"a": 100_000, "b": 50_000}, 175_000, id="overhead"),
        pytest.param(spec(limits={"cpu": "2"}), {"a": 200_000, "b": 200_000}, 200_000, id="resources-of-its-own"),
    ],
)
def test_a_pod_is_not_normalised_twice_when_the_state_directory_is_lost(
    reported: PodSpec, quotas: Mapping[str, int], of_pod: int
) -> None:
    node = FakeNode(2)
    node.set_policy(**HALVED)
    pod = node.pod("web", "LS", cpu_quota=of_pod)
    pod.spec = reported
    for name, quota in quotas.items():
        node.container(pod, name, cpu_quota=quota)
    node.run_pass()
    assert quotas_of(node)["web"] == of_pod // 2
    again = node.restarted(lost=True)
    again.run_pass()
    assert quotas_of(again)["web"] == of_pod // 2
    again.set_policy()
    again.run_pass()
    assert quotas_of(again)["web"] == of_pod
