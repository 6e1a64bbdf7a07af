"""The answer to GET /v1/explain, about pods of a fake node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from structlog.testing import CapturingLogger

from koordnri.answers.explain import ExplainSources, explain
from koordnri.cpus.allocator import Allocator
from koordnri.model import Pod
from koordnri.model.annotations import DEVICE_ALLOCATED
from koordnri.policy.standing import StandingPolicy
from koordnri.state.history import History
from tests.host.fake_kernel import FakeKernel
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, pinned_to, slice_of

NO_RESCTRL = Path("/nowhere")


def explained(
    node: FakeNode,
    pod: str = "shop/p",
    container: str = "",
    allocator: Allocator | None = None,
    history: History | None = None,
) -> Any:
    """The answer of a daemon on this node, as JSON."""
    sources = ExplainSources(
        node.ledger,
        node._hooks,
        StandingPolicy(CapturingLogger()),
        allocator or Allocator(),
        node.machine,
        NO_RESCTRL,
        history,
    )
    parameters = {"pod": pod} | ({"container": container} if container else {})
    return json.loads(json.dumps(explain(sources, parameters)))


def node_with_pinned_pod() -> FakeNode:
    node = FakeNode(2)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("2,3"), cpu_quota=200_000, memory_limit=64 * MIB)
    node.container(pod, cpu_quota=200_000, memory_limit=64 * MIB)
    node.run_pass()
    return node


def crun_node() -> tuple[FakeNode, str]:
    """A node whose containers have their processes one level below their scope; and a scope."""
    slices = ("kubepods.slice", *(f"kubepods.slice/kubepods-{qos}.slice" for qos in ("burstable", "besteffort")))
    node = FakeNode(2, FakeKernel(2, slices), crun=True)
    scope = node.container(node.pod("p", "LS", parent=slice_of("p"), cpu_quota=100_000), cpu_quota=100_000)
    node.set_policy(**HALVED)
    node.run_pass()
    return node, scope


def gpus(*minors: int) -> dict[str, str]:
    return {DEVICE_ALLOCATED.key: json.dumps({"gpu": [{"minor": minor} for minor in minors]})}


ENV = "env[NVIDIA_VISIBLE_DEVICES]"


def node_with_gpu_pod() -> tuple[FakeNode, Pod]:
    node = FakeNode(2)
    pod = node.pod("p", annotations=gpus(0))
    node.container(pod)
    return node, pod
