"""Hook gpu: vendors as data, CDI, and whom devices are given to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from koordnri_hooks.gpu import GPU

from koordnri.model import Decision, Event, NodeState, Pod
from koordnri.model.fields import CDI
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import Policy, PolicyError
from koordnri.policy.gpu_vendors import VENDORS
from tests.hooks.one_hook import context, faults, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "scheduling.koordinator.sh/device-allocated"
LABEL = "node.koordinator.sh/gpu-vendor"
CORE, RATIO = "koordinator.sh/gpu-core", "koordinator.sh/gpu-memory-ratio"
UUID = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c"
TWO = [{"minor": 2, "id": UUID}, {"minor": 0, "id": UUID + "-0"}]


def options(**gpu: Any) -> Policy:
    return policy_of(koordnri_config={"hooks": {"gpu": gpu}})


def spec(**requests: Any) -> PodSpec:
    """A pod's spec whose second container requests these."""
    asked = {name.replace("__", "/").replace("_", "."): amount for name, amount in requests.items()}
    return PodSpec({"main": ContainerSpec({"cpu": "1"}, {}), "side": ContainerSpec(asked, {})})


def given(devices: list[dict[str, Any]] | None = None, spec: PodSpec | None = None, **labels: str) -> Pod:
    return pod("LS", annotations={KEY: {"gpu": TWO if devices is None else devices}}, labels=labels, spec=spec)


def on(vendor: str, one: Pod, policy: Policy | None = None) -> Decision:
    node = NodeState(labels={LABEL: vendor})
    return run(GPU(), context(one, node=node) if policy is None else context(one, node=node, policy=policy))


@pytest.mark.parametrize(
    ("vendor", "variable"),
    [
        ("nvidia", "NVIDIA_VISIBLE_DEVICES"),
        ("NVIDIA", "NVIDIA_VISIBLE_DEVICES"),
        ("amd", "AMD_VISIBLE_DEVICES"),
        ("huawei", "ASCEND_VISIBLE_DEVICES"),
        ("cambricon", "CAMBRICON_VISIBLE_DEVICES"),
        ("metax", "METAX_VISIBLE_DEVICES"),
        ("habana", "HABANA_VISIBLE_DEVICES"),
        ("intel", "ZE_AFFINITY_MASK"),
    ],
)
def test_the_nodes_label_says_whose_variable_names_the_devices(vendor: str, variable: str) -> None:
    assert values(on(vendor, given())) == {f"env[{variable}]": "2,0"}


def test_every_built_in_vendor_is_one_that_a_policy_could_write() -> None:
    assert not [mistake for vendor in VENDORS.values() for mistake in vendor.check()]


def test_a_vendor_that_nobody_described_is_left_to_its_device_plugin() -> None:
    decision = on("baidu", given())
    assert (values(decision), decision.errors) == ({}, ())
    assert decision.skipped == {"gpu": "left to the device plugin: koordnri-config.hooks.gpu.vendors has no baidu"}


def test_the_policy_says_the_vendor_where_there_is_no_label_and_over_it() -> None:
    policy = options(vendor="huawei")
    for label in ("", "nvidia"):
        assert values(on(label, given(), policy)) == {"env[ASCEND_VISIBLE_DEVICES]": "2,0"}


def test_a_policy_describes_new_vendors_and_replaces_known_ones_whole() -> None:
    vendors = {
        "baidu": {"env": {"XPU_VISIBLE_DEVICES": "{minors}", "XPU_IDS": "id:{uuids}", "XPU_MODE": "strict"}},
        "amd": {"env": {"ROCR_VISIBLE_DEVICES": "{devices}"}},
    }
    policy = options(vendors=vendors)
    assert values(on("baidu", given(), policy)) == {
        "env[XPU_VISIBLE_DEVICES]": "2,0",
        "env[XPU_IDS]": f"id:{UUID},{UUID}-0",
        "env[XPU_MODE]": "strict",
    }
    assert values(on("amd", given(), policy)) == {"env[ROCR_VISIBLE_DEVICES]": "2,0"}
    assert values(on("huawei", given(), policy)) == {"env[ASCEND_VISIBLE_DEVICES]": "2,0"}


def test_identify_by_uuid_is_for_vendors_that_take_both() -> None:
    policy = options(identify="uuid")
    assert values(on("amd", given(), policy)) == {"env[AMD_VISIBLE_DEVICES]": f"{UUID},{UUID}-0"}
    assert values(on("huawei", given([{"minor": 1}]), policy)) == {"env[ASCEND_VISIBLE_DEVICES]": "1"}


@pytest.mark.parametrize(
    "share",
    [
        {"resources": {RATIO: "50"}},
        {"resources": {CORE: 99}},
        {"resources": {CORE: "100", RATIO: "12.5"}},
        {"extension": {"gpuSharedResourceTemplate": "vir04"}},
    ],
)
def test_a_share_of_another_vendors_device_is_never_widened_to_the_device(share: dict[str, Any]) -> None:
    labels = {"koordinator.sh/gpu-isolation-provider": "HAMi-core"}
    decision = on("huawei", given([{"minor": 0, "resources": {CORE: "100"}}, {"minor": 1, **share}], **labels))
    assert (values(decision), decision.errors) == ({}, ())
    assert decision.skipped["gpu"].startswith("left to the device plugin: gpu[1] is a share of a device")


def test_a_bad_share_of_another_vendors_device_is_the_pods_fault() -> None:
    decision = on("huawei", given([{"minor": 0, "resources": {CORE: "half"}}]))
    assert values(decision) == {}
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert f'gpu[0].resources["{CORE}"]' in message


@pytest.mark.parametrize(
    ("vendor", "problem"),
    [
        ({"env": {"A": "{minor}"}}, 'vendors.x.env.A: expected {minors}, {uuids}, {devices}, got "{minor}"'),
        ({"env": {"A": "{minors"}}, 'vendors.x.env.A: expected {minors}, {uuids}, {devices}, got "{minors"'),
        ({"env": {"A B": "1"}}, 'vendors.x.env.A B: expected the name of an environment variable, got "A B"'),
        ({"env": {"A": "a\0b"}}, "vendors.x.env.A: expected text without NUL"),
        ({"env": {"A": ""}}, 'vendors.x.env.A: expected text that is not empty, got ""'),
        ({"envBesideCDI": {"1": "x"}}, "vendors.x.envBesideCDI.1: expected the name of an environment variable"),
        ({"cdiKind": "nvidia"}, 'vendors.x.cdiKind: expected vendor/class such as nvidia.com/gpu, got "nvidia"'),
        ({"cdiKind": "a/b=0"}, "vendors.x.cdiKind: expected vendor/class"),
        ({"resourceDomains": ["a/b"]}, 'vendors.x.resourceDomains[0]: expected a domain such as nvidia.com, got "a/b"'),
        ({"values": {}}, "vendors.x.values: unknown key"),
    ],
)
def test_a_mistake_in_a_vendor_is_named_with_its_path(vendor: dict[str, Any], problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        options(vendors={"x": vendor})
    assert f"koordnri-config.hooks.gpu.{problem}" in str(caught.value)


# CDI

CDI_POLICY = {"inject": "cdi", "requireRequest": "never"}
NO_CDI = replace(NodeState(), no_cdi="containerd 1.7.24 drops CDI devices")


def test_devices_go_by_cdi_and_the_vendors_own_runtime_adds_none() -> None:
    assert values(on("nvidia", given(), options(**CDI_POLICY))) == {
        "cdi[nvidia.com/gpu]": "2,0",
        "env[NVIDIA_VISIBLE_DEVICES]": "void",
    }
    assert values(on("amd", given(), options(**CDI_POLICY, identify="uuid"))) == {
        "cdi[amd.com/gpu]": f"{UUID},{UUID}-0",
        "env[AMD_VISIBLE_DEVICES]": "none",
    }


def test_a_share_is_isolated_beside_cdi_devices_too() -> None:
    half = [{"minor": 1, "resources": {RATIO: "50", "koordinator.sh/gpu-memory": "8Gi"}}]
    labels = {"koordinator.sh/gpu-isolation-provider": "HAMi-core"}
    decision = on("nvidia", given(half, **labels), options(**CDI_POLICY))
    assert decision.value(CDI, "nvidia.com/gpu") == "1"
    assert decision.settings["env[CUDA_DEVICE_MEMORY_LIMIT]"].value == str(8 << 30)


def test_a_runtime_without_cdi_gets_the_environment_and_the_reason() -> None:
    decision = run(GPU(), context(given(), node=NO_CDI, policy=options(**CDI_POLICY)))
    assert values(decision) == {"env[NVIDIA_VISIBLE_DEVICES]": "2,0"}
    assert decision.skipped == {
        "cdi[nvidia.com/gpu]": "containerd 1.7.24 drops CDI devices; the devices are given by environment"
    }
    assert decision.errors == ()


def test_a_vendor_without_a_cdi_kind_gets_the_environment_and_the_reason() -> None:
    decision = on("cambricon", given(), options(**CDI_POLICY))
    assert values(decision) == {"env[CAMBRICON_VISIBLE_DEVICES]": "2,0"}
    assert decision.skipped == {
        "cdi[cambricon]": "devices of cambricon have no CDI kind; the devices are given by environment"
    }


def test_a_running_container_gets_no_cdi_devices() -> None:
    decision = run(GPU(), context(given(), policy=options(**CDI_POLICY), event=Event.UPDATE))
    assert decision.settings == {}
    assert "restart the pod" in decision.skipped["cdi[nvidia.com/gpu]"]


def test_a_route_refuses_cdi_where_the_runtime_has_none() -> None:
    assert NO_CDI.create_routes[CDI] == NO_CDI.no_cdi
    assert NodeState().create_routes[CDI] == "adjust"


# Whom devices are given to


REQUESTS = [
    ({"koordinator_sh__gpu": "100"}, True),
    ({"koordinator_sh__gpu-core": 50}, True),
    ({"koordinator_sh__gpu-memory-ratio": "50"}, True),
    ({"koordinator_sh__gpu.shared": "1"}, True),
    ({"nvidia_com__gpu": "1"}, True),
    ({"nvidia_com__mig-1g.5gb": "1"}, True),
    ({"nvidia_com__gpu": "0"}, False),
    ({"nvidia_com__gpu": "many"}, False),
    ({"amd_com__gpu": "1"}, False),
    ({"koordinator_sh__gpus": "1"}, False),
    ({"koordinator_sh__rdma": "1"}, False),
    ({"cpu": "1"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("requests", "asked"), REQUESTS)
def test_cdi_devices_are_for_pods_whose_spec_requests_some(requests: dict[str, Any], asked: bool) -> None:
    """By default, since nobody can give himself a device node; the environment he can."""
    decision = on("nvidia", given(spec=spec(**requests)), options(inject="cdi"))
    assert (decision.value(CDI, "nvidia.com/gpu") == "2,0") is asked
    assert decision.settings["env[NVIDIA_VISIBLE_DEVICES]"].value == ("void" if asked else "2,0")
    if not asked:
        assert "requests no koordinator.sh/gpu" in decision.skipped["cdi[nvidia.com/gpu]"]


@pytest.mark.parametrize(("requests", "asked"), REQUESTS)
def test_a_policy_may_want_a_request_for_the_environment_too(requests: dict[str, Any], asked: bool) -> None:
    decision = on("nvidia", given(spec=spec(**requests)), options(requireRequest="always"))
    assert values(decision) == ({"env[NVIDIA_VISIBLE_DEVICES]": "2,0"} if asked else {})
    assert decision.errors == ()
    assert ("requests no koordinator.sh/gpu" in decision.skipped.get("gpu", "")) is not asked


def test_a_limit_is_a_request() -> None:
    limited = PodSpec({"main": ContainerSpec({}, {"nvidia.com/gpu": "1"})})
    assert values(on("nvidia", given(spec=limited), options(requireRequest="always")))


def test_without_the_api_server_no_request_is_known() -> None:
    decision = on("nvidia", given(spec=None), options(requireRequest="always"))
    assert values(decision) == {}
    assert "which only the API server has" in decision.skipped["gpu"]


@pytest.mark.parametrize("level", ["never", "devices"])
def test_by_default_the_environment_follows_the_annotation_as_koordlets_does(level: str) -> None:
    assert values(on("nvidia", given(spec=spec(cpu="1")), options(requireRequest=level)))
