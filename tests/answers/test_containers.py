"""GET /v1/containers: where the cgroups of the running containers are, what they asked for and got."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from koordnri.answers.containers import list_containers
from koordnri.chain import Snapshot
from koordnri.model import CPUSet, Decision, NodeState, Pod, Resources
from koordnri.model.annotations import EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World
from tests.support.pods import pod

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 8, 1))
ASKED = Resources(cpu_shares=512, cpu_quota=100_000, cpu_period=100_000)


def listed(
    one: Pod,
    asked: Resources = ASKED,
    node: NodeState = NODE,
    sent: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    pins: Mapping[tuple[str, str], CPUSet] | None = None,
) -> Any:
    """The answer about a node with one pod, whose container `main` has the id c1."""
    ledger = Ledger()
    ledger.remember_pod(one)
    entry = Entry("c1", "main", one.id, asked)
    ledger.remember(entry, Decision(), sent={name: (value, "adjust") for name, value in (sent or {}).items()})
    entry.files.update(files or {})
    return list_containers(ledger, World(Snapshot.of(DEFAULT_POLICY, node), "containerd"), pins or {}, Path("/host"))


def container(*arguments: Any, **more: Any) -> Any:
    return listed(*arguments, **more)["pods"][0]["containers"][0]


def test_a_container_as_kubelet_asked_for_it() -> None:
    assert listed(pod("LS")) == {
        "node": "n",
        "cgroupVersion": 2,
        "hostRoot": "/host",
        "pods": [
            {
                "namespace": "shop",
                "name": "web",
                "uid": "uid-web",
                "class": "LS",
                "kubeQoS": "Burstable",
                "cgroup": "kubepods/burstable/poduid-web",
                "containers": [
                    {
                        "name": "main",
                        "id": "c1",
                        "cgroup": "kubepods/burstable/poduid-web/c1",
                        "requestedMilli": 500,
                        "givenMilli": 1000,
                        "cpus": "",
                        "exclusive": False,
                    }
                ],
            }
        ],
    }


def test_a_pod_without_label_is_of_the_default_class() -> None:
    assert listed(pod())["pods"][0]["class"] == "LS"


def test_what_was_sent_comes_before_what_was_asked_and_the_file_before_that() -> None:
    assert container(pod(), sent={"cpu.quota": 50_000})["givenMilli"] == 500
    assert container(pod(), sent={"cpu.quota": 50_000}, files={"cpu.quota": 25_000})["givenMilli"] == 250
    assert container(pod(), sent={"cpu.cpus": "0-3"})["cpus"] == "0-3"


@pytest.mark.parametrize("quota", [None, -1, 0])
def test_no_quota_is_no_limit(quota: int | None) -> None:
    assert container(pod(), Resources(cpu_quota=quota))["givenMilli"] is None


def test_exclusive_cpus_are_what_was_given() -> None:
    node = NodeState(topology=NODE.topology, exclusive_cpus={"uid-web": {"main": CPUSet.parse("2-4")}})
    found = container(pod("LSR"), node=node, sent={"cpu.quota": -1, "cpu.cpus": "2-4"})
    assert (found["givenMilli"], found["cpus"], found["exclusive"]) == (3000, "2-4", True)
    pinned = container(pod(), pins={("uid-web", "main"): CPUSet.parse("6")})
    assert (pinned["givenMilli"], pinned["cpus"]) == (1000, "6")
    dra = NodeState(topology=NODE.topology, dra_cpus={"uid-web": {"main": CPUSet.parse("5")}})
    assert container(pod(), node=dra)["cpus"] == "5"
    assert container(pod("LSR", annotations={RESOURCE_STATUS.key: {"cpuset": "1"}}))["givenMilli"] == 1000


def test_the_request_is_the_pods_own_where_it_is_known() -> None:
    known = pod("LS", spec=PodSpec({"main": ContainerSpec({"cpu": "750m"}, {})}))
    assert container(known)["requestedMilli"] == 750


def test_a_batch_pod_requests_batch_cpu() -> None:
    spec = pod("BE", spec=PodSpec({"main": ContainerSpec({"kubernetes.io/batch-cpu": "1500"}, {})}))
    assert container(spec, Resources(cpu_shares=2))["requestedMilli"] == 1500
    amounts = {"containers": {"main": {"requests": {"kubernetes.io/batch-cpu": 250}, "limits": {}}}}
    annotated = pod("BE", annotations={EXTENDED_RESOURCE_SPEC.key: amounts})
    assert container(annotated, Resources(cpu_shares=2))["requestedMilli"] == 250


@pytest.mark.parametrize("text", ["{", '{"containers": {"main": {"requests": {"kubernetes.io/batch-cpu": "x"}}}}'])
def test_a_malformed_request_falls_back_to_the_shares(text: str) -> None:
    assert container(pod("BE", annotations={EXTENDED_RESOURCE_SPEC.key: text}))["requestedMilli"] == 500


@pytest.mark.parametrize("shares", [None, 0, 2])
def test_the_least_shares_are_no_request(shares: int | None) -> None:
    assert container(pod(), Resources(cpu_shares=shares))["requestedMilli"] is None


def test_containers_that_have_ended_and_pods_in_no_cgroup_are_left_out() -> None:
    ledger = Ledger()
    for name, parent in (("web", "/kubepods/podweb"), ("odd", "/../etc"), ("empty", "/kubepods/podempty")):
        ledger.remember_pod(pod(parent=parent, name=name))
    for identity, name in (("c1", "web"), ("c2", "web"), ("c3", "odd")):
        ledger.remember(Entry(identity, identity, name, ASKED), Decision())
    ledger.ended("c2")
    answer = list_containers(ledger, World(Snapshot.of(DEFAULT_POLICY, NODE), "containerd"), {}, Path("/"))
    assert [(p["name"], [c["id"] for c in p["containers"]]) for p in answer["pods"]] == [("web", ["c1"])]
