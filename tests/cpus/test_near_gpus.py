"""CPUs near the GPUs of a pod are preferred, and never required."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.near_gpus import cpus_near_gpus
from koordnri.model import CPUSet, NodeState
from koordnri.model.annotations import DEVICE_ALLOCATED
from koordnri.model.pod import Pod
from koordnri.model.topology import Topology
from tests.cpus.one_allocator import ALL_MAY_GO, whole
from tests.support.pods import pod

NODE = NodeState(topology=Topology.regular(2, 1, 4, 1), gpu_numa_nodes={0: 0, 1: 1})
"""CPUs 0-3 on NUMA node 0, 4-7 on node 1"""


def with_gpus(*minors: int, kind: str = "gpu", name: str = "train") -> Pod:
    devices: dict[str, Any] = {kind: [{"minor": minor} for minor in minors]}
    return pod("LSR", name=name, annotations={DEVICE_ALLOCATED.key: devices})


def given(one: Pod, cpus: int, node: NodeState = NODE, allocator: Allocator | None = None) -> str:
    holding = (allocator or Allocator()).give(one, "main", whole(cpus), node, ALL_MAY_GO)
    return "" if holding is None else str(holding.cpus)


@pytest.mark.parametrize(("minors", "near"), [((1,), "4-7"), ((0,), "0-3"), ((0, 1), "0-7"), ((7,), ""), ((), "")])
def test_cpus_of_the_same_numa_nodes_are_near(minors: tuple[int, ...], near: str) -> None:
    assert cpus_near_gpus(with_gpus(*minors), NODE) == CPUSet.parse(near)


def test_other_devices_broken_annotations_and_unknown_nodes_have_none() -> None:
    broken = pod("LSR", annotations={DEVICE_ALLOCATED.key: "[]"})
    assert not cpus_near_gpus(with_gpus(1, kind="rdma"), NODE)
    assert not cpus_near_gpus(broken, NODE)
    assert not cpus_near_gpus(with_gpus(1), replace(NODE, gpu_numa_nodes={}))


def test_a_container_gets_cpus_near_its_gpu() -> None:
    assert given(with_gpus(1), 2) == "4-5"
    assert given(with_gpus(0), 2) == "0-1"
    assert given(pod("LSR", name="train"), 2) == "0-1", "as without GPUs"


def test_where_too_few_are_free_there_it_gets_others() -> None:
    allocator = Allocator()
    assert given(with_gpus(1, name="first"), 3, allocator=allocator) == "4-6"
    assert given(with_gpus(1, name="second"), 2, allocator=allocator) == "0-1"
