"""Hook gpu: RDMA devices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from koordnri_hooks.gpu import GPU

from koordnri.model import Decision, Device, Event, NodeState
from koordnri.model.pod import ContainerSpec, PodSpec
from tests.hooks.one_hook import context, faults, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "scheduling.koordinator.sh/device-allocated"
CM = Device("c", 10, 123)
UVERBS = {f"0000:09:00.{n}": {f"/dev/infiniband/uverbs{n}": Device("c", 231, 192 + n)} for n in range(4)}
UVERBS["0000:0a:00.0"] = {
    "/dev/infiniband/uverbs8": Device("c", 231, 200),
    "/dev/infiniband/uverbs9": Device("c", 231, 201),
}
NODE = NodeState(rdma_devices=UVERBS, rdma_cm=CM)
TRUSTED = policy_of(koordnri_config={"hooks": {"gpu": {"requireRequest": "never"}}})


def physical(address: str) -> dict[str, Any]:
    return {"minor": 0, "id": address, "resources": {"koordinator.sh/rdma": "1"}}


def virtual(*addresses: str, of: str = "0000:09:00.0") -> dict[str, Any]:
    return {**physical(of), "extension": {"vfs": [{"minor": i, "busID": a} for i, a in enumerate(addresses)]}}


def decide(*devices: dict[str, Any], node: NodeState = NODE, policy: Any = TRUSTED, **more: Any) -> Decision:
    text = json.dumps({"rdma": devices, **more.pop("others", {})}, separators=(",", ":"))
    return run(GPU(), context(pod("LS", annotations={KEY: text}, **more), node=node, policy=policy))


def nodes(*numbers: int) -> dict[str, Device]:
    found = {f"device[/dev/infiniband/uverbs{n}]": Device("c", 231, 192 + n) for n in numbers}
    return {**found, "device[/dev/infiniband/rdma_cm]": CM}


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([physical("0000:09:00.1")], nodes(1)),
        ([physical("0000:09:00.1"), physical("0000:09:00.3")], nodes(1, 3)),
        ([physical("0000:0A:00.0")], nodes(8, 9)),
        ([virtual("0000:09:00.2", "0000:09:00.3")], nodes(2, 3)),
        ([virtual(), physical("0000:09:00.1")], nodes(0, 1)),
        ([physical("0000:09:00.1"), physical("0000:09:00.1")], nodes(1)),
    ],
    ids=["function", "two", "two-nodes-upper-case", "virtual-functions-instead", "no-virtual-functions", "twice"],
)
def test_a_container_gets_the_verbs_nodes_and_the_connection_manager(
    devices: list[dict[str, Any]], expected: dict[str, Device]
) -> None:
    decision = decide(*devices)
    assert values(decision) == expected
    assert {d.file_mode for d in values(decision).values()} == {0o666}
    assert (decision.errors, decision.skipped) == ((), {})


def test_gpus_and_rdma_are_given_together_and_a_fault_of_one_leaves_the_other() -> None:
    both = decide(physical("0000:09:00.0"), others={"gpu": [{"minor": 1}]})
    assert values(both) == {"env[NVIDIA_VISIBLE_DEVICES]": "1", **nodes(0)}
    bad_gpu = decide(physical("0000:09:00.0"), others={"gpu": [{"minor": -1}]})
    assert values(bad_gpu) == nodes(0)
    bad_rdma = decide(physical("x"), others={"gpu": [{"minor": 1}]})
    assert values(bad_rdma) == {"env[NVIDIA_VISIBLE_DEVICES]": "1"}
    assert len(bad_gpu.errors) == len(bad_rdma.errors) == 1


@pytest.mark.parametrize(
    ("devices", "given", "problem"),
    [
        ([physical("0000:ff:00.0")], {}, 'rdma[0].id: expected the PCI address of an RDMA device of this node, got "0000:ff:00.0"'),
        ([physical("")], {}, 'rdma[0].id: expected the PCI address of an RDMA device of this node, got ""'),
        ([physical("../../../dev/sda")], {}, "rdma[0].id: expected the PCI address"),
        ([physical("9" * 5000)], {}, f'got "{"9" * 60}"'),
        ([virtual("", "0000:09:00.1")], nodes(1), "rdma[0].extension.vfs[0].busID: expected the PCI address"),
        (
            [physical("0000:09:00.1"), physical("a"), physical("b"), physical("c")],
            nodes(1),
            'rdma[1].id: expected the PCI address of an RDMA device of this node, got "a"; and 2 more',
        ),
        (
            [virtual(*(f"0000:{bus:02x}:00.{f}" for bus in range(33) for f in range(8)))],
            {},
            "rdma: expected at most 256 functions, got more",
        ),
    ],
    ids=["absent", "none", "path", "long", "virtual", "several", "too-many"],
)  # fmt: skip
def test_what_the_node_has_not_costs_itself(devices: Any, given: dict[str, Device], problem: str) -> None:
    decision = decide(*devices)
    assert values(decision) == given
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert message.startswith(f"annotation {KEY}: ")
    assert problem in message
    assert len(message) < 400


def test_no_device_no_connection_manager() -> None:
    assert values(decide()) == {}
    assert values(decide(physical("0000:ff:00.0"))) == {}


def test_a_kernel_without_connection_manager_gives_the_verbs_and_says_so() -> None:
    decision = decide(physical("0000:09:00.1"), node=NodeState(rdma_devices=UVERBS))
    assert values(decision) == {"device[/dev/infiniband/uverbs1]": Device("c", 231, 193)}
    assert "rdma_ucm" in decision.skipped["device[/dev/infiniband/rdma_cm]"]


def test_a_node_that_is_only_described_has_no_numbers_to_give() -> None:
    decision = decide(physical("0000:09:00.1"), node=NodeState())
    assert (values(decision), decision.errors) == ({}, ())
    assert "not known" in decision.skipped["device[/dev/infiniband]"]


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        (PodSpec({"main": ContainerSpec({"koordinator.sh/rdma": "1"}, {})}), True),
        (PodSpec({"side": ContainerSpec({}, {"koordinator.sh/rdma": 100})}), True),
        (PodSpec({"main": ContainerSpec({"koordinator.sh/rdma": "0"}, {})}), False),
        (PodSpec({"main": ContainerSpec({"koordinator.sh/gpu": "100", "nvidia.com/gpu": "1"}, {})}), False),
        (PodSpec({}), False),
        (None, False),
    ],
)
@pytest.mark.parametrize("level", ["devices", "always", None])
def test_by_default_only_a_pod_whose_spec_requests_rdma_gets_it(
    spec: PodSpec | None, given: bool, level: str | None
) -> None:
    gpu = {} if level is None else {"requireRequest": level}
    decision = decide(physical("0000:09:00.1"), spec=spec, policy=policy_of(koordnri_config={"hooks": {"gpu": gpu}}))
    assert values(decision) == (nodes(1) if given else {})
    assert decision.errors == ()
    assert ("requireRequest" in decision.skipped.get("device[/dev/infiniband]", "")) is not given


@pytest.mark.parametrize("event", [Event.UPDATE, Event.SYNC])
def test_a_running_container_gets_no_devices(event: Event) -> None:
    one = pod("LS", annotations={KEY: {"rdma": [physical("0000:09:00.1")]}})
    decision = run(GPU(), context(one, node=NODE, policy=TRUSTED, event=event))
    assert decision.settings == {}
    assert "restart the pod" in decision.skipped["device[/dev/infiniband/uverbs1]"]
