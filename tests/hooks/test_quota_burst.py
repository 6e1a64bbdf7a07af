"""What hook cfs_quota makes of the quotas that the controller wants."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.model import CPUSet, NodeState, Resources
from koordnri.model.control import Control, Wanted
from koordnri.model.decision import Decision
from koordnri.model.routes import CONTROL
from koordnri.policy import DEFAULT_POLICY, Policy
from tests.hooks.one_hook import context, run, run_pod, values
from tests.support.pods import pod
from tests.support.policies import policy_of

LS = pod("LS")
ASKED = Resources(2048, 200_000)
LIFTED = policy_of(koordnri_config={"hooks": {"cfs_quota": {"liftFor": ["LS"]}}})


def node(**quotas_us: int) -> NodeState:
    return NodeState(control=Control(quotas_us={name: Wanted(us, "throttled") for name, us in quotas_us.items()}))


def controlled(decision: Decision) -> Any:
    setting = decision.controlled.get("cpu.quota")
    return None if setting is None else setting.value


def of_container(
    wanted_us: int, baseline: Resources = ASKED, policy: Policy = DEFAULT_POLICY, **state: Any
) -> Decision:
    return run(CFSQuota(), context(LS, baseline, replace(node(c1=wanted_us), **state), policy))


def of_pod(baseline: Resources, containers: dict[str, Resources], node: NodeState, **more: Any) -> Decision:
    return run_pod(CFSQuota(), pod("LS", resources=baseline), node, containers=containers, **more)


def test_a_container_gets_the_wanted_quota_in_its_file_and_not_in_the_stored_spec() -> None:
    decision = of_container(240_000)
    [(name, setting)] = decision.controlled.items()
    assert (name, setting.value, setting.route, setting.reason) == ("cpu.quota", 240_000, CONTROL, "throttled")
    assert decision.settings == {}


@pytest.mark.parametrize("wanted_us", [200_000, 100_000])
def test_what_is_not_above_the_limit_changes_nothing(wanted_us: int) -> None:
    """As after a resize, until the controller has seen the new limit."""
    assert of_container(wanted_us).controlled == {}


@pytest.mark.parametrize("asked_us", [None, 0, -1])
def test_a_container_without_quota_has_none_to_raise(asked_us: int | None) -> None:
    assert of_container(240_000, Resources(2048, asked_us)).controlled == {}


def test_another_period_of_kubelet_scales_it() -> None:
    assert controlled(of_container(240_000, Resources(2048, 20_000, 10_000))) == 24_000


def test_a_normalised_quota_is_raised_in_proportion() -> None:
    decision = of_container(400_000, normalization_ratio=Fraction(2))
    assert values(decision) == {"cpu.quota": 100_000}
    assert controlled(decision) == 200_000


def test_a_lifted_quota_stays_lifted() -> None:
    decision = of_container(240_000, policy=LIFTED)
    assert values(decision) == {"cpu.quota": -1}
    assert decision.controlled == {}


@pytest.mark.parametrize("keep", [True, False])
def test_a_pinned_container_is_left_as_it_is(keep: bool) -> None:
    assigned = pod("LS", annotations={"scheduling.koordinator.sh/resource-status": {"cpuset": "2-3"}})
    policy = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": keep}}})
    decision = run(CFSQuota(), context(assigned, ASKED, node(c1=240_000), policy), [CPUSetHook()])
    assert values(decision)["cpu.cpus"] == "2-3"
    assert decision.controlled == {}


def test_cpu_burst_stays_as_it_is_without_quota_burst() -> None:
    policy = policy_of(cpu_burst_config={"clusterStrategy": {"policy": "auto"}})
    assert values(of_container(240_000, policy=policy)) == values(of_container(0, policy=policy))
    assert values(of_container(240_000, policy=policy))["cpu.burst"] == 200_000


def test_v41_a_pod_gets_what_its_containers_gain() -> None:
    below = {"a": ASKED, "b": Resources(1024, 100_000), "c": ASKED}
    wanted = node(**{"id-a": 240_000, "id-b": 150_000, "id-of-another-pod": 500_000})
    assert controlled(of_pod(Resources(5120, 500_000), below, wanted)) == 590_000


def test_v47_a_pod_without_quota_stays_without() -> None:
    assert of_pod(Resources(2048, -1), {"a": ASKED}, node(**{"id-a": 240_000})).controlled == {}


@pytest.mark.parametrize(("version", "pod_us"), [(1, 400_000), (2, 200_000)])
def test_a_normalised_pod_grows_in_proportion_too(version: int, pod_us: int) -> None:
    """On v1 the pod is not normalised."""
    normalised = replace(node(**{"id-a": 400_000}), cgroup_version=version, normalization_ratio=Fraction(2))
    assert controlled(of_pod(ASKED, {"a": ASKED}, normalised)) == pod_us


def test_a_lifted_pod_stays_lifted() -> None:
    decision = of_pod(ASKED, {"a": ASKED}, node(**{"id-a": 240_000}), policy=LIFTED)
    assert values(decision) == {"cpu.quota": -1}
    assert decision.controlled == {}


def test_a_pod_of_which_nothing_is_wanted_has_its_quota() -> None:
    assert of_pod(ASKED, {"a": ASKED}, node(**{"id-of-another-pod": 240_000})).controlled == {}


@pytest.mark.parametrize("keep", [True, False])
def test_a_pod_with_exclusive_cpus_is_left_as_it_is(keep: bool) -> None:
    exclusive = replace(node(**{"id-a": 240_000}), exclusive_cpus={"uid-web": {"a": CPUSet((2, 3))}})
    policy = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": keep}}})
    assert of_pod(ASKED, {"a": ASKED}, exclusive, policy=policy).controlled == {}
