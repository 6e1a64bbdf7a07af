"""Hook gpu with `denyWithoutRequest`: who requests no GPU sees none, whatever its environment or image asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from koordnri_hooks.gpu import GPU

from koordnri.model import Decision, NodeState, Pod
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import Policy
from tests.hooks.one_hook import context, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "scheduling.koordinator.sh/device-allocated"
GPU_0 = {KEY: {"gpu": [{"minor": 0}]}}
VOID = {"env[NVIDIA_VISIBLE_DEVICES]": "void"}
NOTHING = PodSpec({"main": ContainerSpec({"cpu": "1"}, {})})


def requesting(resource: str) -> PodSpec:
    return PodSpec({"side": ContainerSpec({}, {}), "main": ContainerSpec({}, {resource: "1"})})


def policy(trust: dict[str, Any] | None = None, **gpu: Any) -> Policy:
    hooks = {"gpu": {"denyWithoutRequest": True, **gpu}}
    return policy_of(koordnri_config={"clusterStrategy": {"hooks": hooks, "trust": trust or {}}})


def decided(one: Pod, under: Policy, vendor: str = "") -> Decision:
    labels = {"node.koordinator.sh/gpu-vendor": vendor} if vendor else {}
    return run(GPU(), context(one, policy=under, node=NodeState(labels=labels)))


@pytest.mark.parametrize("annotations", [{}, GPU_0], ids=["no-annotation", "annotation"])
def test_a_pod_that_requests_none_sees_none(annotations: dict[str, Any]) -> None:
    decision = decided(pod("LS", annotations=annotations, spec=NOTHING), policy())
    assert values(decision) == VOID
    (setting,) = decision.settings.values()
    assert setting.reason == (
        "the pod's spec requests no koordinator.sh/gpu, so that it sees none; see koordnri-config.hooks.gpu.denyWithoutRequest"
    )


@pytest.mark.parametrize("annotations", [{}, GPU_0], ids=["no-annotation", "annotation"])
def test_by_default_it_is_not_touched_without_an_annotation(annotations: dict[str, Any]) -> None:
    decision = decided(pod("LS", annotations=annotations, spec=NOTHING), policy_of())
    assert values(decision) == ({"env[NVIDIA_VISIBLE_DEVICES]": "0"} if annotations else {})


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "koordinator.sh/gpu-core"])
def test_who_requests_one_is_not_denied(resource: str) -> None:
    assert values(decided(pod("LS", spec=requesting(resource)), policy())) == {}
    given = decided(pod("LS", annotations=GPU_0, spec=requesting(resource)), policy())
    assert values(given) == {"env[NVIDIA_VISIBLE_DEVICES]": "0"}


def test_a_request_of_another_vendors_device_is_none() -> None:
    assert values(decided(pod("LS", spec=requesting("amd.com/gpu")), policy())) == VOID
    assert values(decided(pod("LS", spec=requesting("amd.com/gpu")), policy(), "amd")) == {}
    assert values(decided(pod("LS", spec=NOTHING), policy(), "amd")) == {"env[AMD_VISIBLE_DEVICES]": "none"}


def test_a_pod_whose_spec_is_not_known_is_denied_unless_the_policy_believes_it() -> None:
    assert values(decided(pod("LS"), policy())) == VOID
    assert values(decided(pod("LS"), policy({"withoutSpec": "believe"}))) == {}


def test_listed_namespaces_see_what_they_ask_for() -> None:
    plugin = replace(pod("LS", spec=NOTHING), namespace="kube-system")
    decision = decided(plugin, policy())
    assert values(decision) == {}
    assert decision.skipped["gpu"] == ("sees what it asks for without a request: namespace kube-system is listed")
    assert values(decided(plugin, policy({"gpu": {"namespaces": ["gpu-operator"]}}))) == VOID
    assert values(decided(pod("LS", spec=NOTHING), policy({"gpu": {"namespaces": ["shop"]}}))) == {}


def test_a_vendor_without_a_value_for_none_cannot_be_denied() -> None:
    decision = decided(pod("LS", annotations={KEY: {"gpu": [{"minor": 0}]}}, spec=NOTHING), policy(), "huawei")
    assert values(decision) == {}, "not even what the annotation says"
    assert decision.skipped["gpu"] == (
        "cannot be denied: no value of huawei's variable is known by which none is seen (envBesideCDI)"
    )
    described = {"env": {"X": "{minors}"}, "envBesideCDI": {"X": "none"}}
    own = policy(vendors={"huawei": described})
    assert values(decided(pod("LS", spec=NOTHING), own, "huawei")) == {"env[X]": "none"}


def test_rdma_devices_have_their_own_rule() -> None:
    annotations = {KEY: {"gpu": [{"minor": 0}], "rdma": [{"minor": 0, "id": "0000:09:00.0"}]}}
    decision = decided(pod("LS", annotations=annotations, spec=NOTHING), policy())
    assert values(decision) == VOID
    assert list(decision.skipped) == ["device[/dev/infiniband]"], "decided as without the option"
