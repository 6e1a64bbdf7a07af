"""How much CPU best-effort work may use."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.budget import SETTLE_S, Budget
from koordnri.control.signals import PodSignals
from koordnri.policy import Policy
from tests.control.signals import batch, of_pod, service, signals
from tests.support.pods import BESTEFFORT, GUARANTEED, pod
from tests.support.policies import policy_of


def threshold(percent: int = 70, **more: Any) -> Policy:
    return policy_of(
        resource_threshold_config={
            "clusterStrategy": {"enable": True, "cpuSuppressThresholdPercent": percent, **more},
        },
        host_application_config={
            "applications": [{"name": "ls", "qos": "LS"}, {"name": "be", "qos": "BE"}, {"name": "none"}]
        },
    )


def test_nothing_is_known_of_a_node_without_known_cpus() -> None:
    assert Budget().milli(signals(service(8), cpus=0, node=8), threshold()) is None


@pytest.mark.parametrize(
    ("node", "pods", "applications", "milli"),
    [
        pytest.param(12, [service(8), batch(2)], {}, 4000, id="v51"),
        pytest.param(12, [service(8), batch(2)], {"ls": 1.0}, 4000, id="v52"),
        pytest.param(12, [service(8), batch(2)], {"be": 1.0}, 5000, id="v53"),
        pytest.param(11, [of_pod(pod(name="unknown"), 8), batch(4)], {}, 6000, id="v54"),
        pytest.param(12, [service(8), batch(2)], {"none": 1.0}, 4000, id="an application without a class is a service"),
        pytest.param(9, [of_pod(pod(parent=BESTEFFORT), 8)], {}, 13_000, id="Kubernetes' BestEffort is best-effort"),
        pytest.param(8, [of_pod(pod(parent=GUARANTEED), 8)], {}, 6000, id="a pod without a label is a service"),
        pytest.param(30, [service(20)], {}, 0, id="never negative"),
    ],
)
def test_v51_to_v54_the_budget_is_what_services_and_the_system_leave_of_the_threshold(
    node: float, pods: list[PodSignals], applications: dict[str, float], milli: int
) -> None:
    assert Budget().milli(signals(*pods, node=node, host_applications=applications), threshold()) == milli


def test_what_the_node_reserves_counts_when_the_system_uses_less() -> None:
    assert Budget().milli(signals(service(8), node=9, reserved_milli=3000), threshold()) == 3000
    assert Budget().milli(signals(service(8), node=12, reserved_milli=3000), threshold()) == 2000


def test_the_budget_is_at_least_the_minimum_of_the_policy() -> None:
    assert Budget().milli(signals(service(20), node=20), threshold(cpuSuppressMinPercent=10)) == 2000


def test_without_the_nodes_usage_there_is_no_budget() -> None:
    assert Budget().milli(signals(service(8), node=None), threshold()) is None


@pytest.mark.parametrize("pods", [[batch(None)], [batch(None), batch(1, "other")], []])
def test_best_effort_pods_that_come_or_go_do_not_count_as_the_systems_for_one_tick(pods: list[PodSignals]) -> None:
    budget = Budget()
    before = [p for p in (batch(4), batch(1, "other")) if not pods or p.pod.name != "batch"]
    usage = sum(p.load.used_cores or 0 for p in before)
    assert budget.milli(signals(*before, node=usage + 1), threshold()) == 13_000
    assert budget.milli(signals(*pods, node=usage + 5, at_s=1), threshold()) == 13_000


def test_after_a_while_unexplained_usage_is_the_systems_whatever_comes_and_goes() -> None:
    budget = Budget()
    budget.milli(signals(node=1), threshold())
    now = SETTLE_S + 1
    assert budget.milli(signals(batch(None), node=9, at_s=now), threshold()) == 5000
