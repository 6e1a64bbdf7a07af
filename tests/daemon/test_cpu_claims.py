"""CPUs that a container's own environment says a DRA driver gave to it: believed where a driver can have, as far as that is known.

The wired daemon without its threads; its events are handled here one by one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import CPUSet, Pod
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.topology import Topology
from koordnri.policy import load_policy
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.daemon.sent_events import SentEvents
from tests.host.trees import HostTree
from tests.support import messages

NO_CLAIMS = PodSpec({"main": ContainerSpec({}, {})})
NOT_READ = PodSpec({"main": ContainerSpec({}, {})}, resource_claims=True)
CLAIMS = replace(NOT_READ, claimed_cpus={"dra.cpu": 7})
ENV = "DRA_CPUSET_claim=0-5"
NONE = "environment DRA_CPUSET_* not believed: the pod has no resourceClaims by which a DRA driver could have given it CPUs"


class Node:
    """8 CPUs and a daemon; `specs` is what the API server has reported so far, by the pods' uid."""

    def __init__(self, root: Path, awaits: bool = True) -> None:
        self._awaits = awaits
        host = HostTree(root / "host").cpus(Topology.regular(1, 1, 8, 1)).cgroup_v2().root
        self.specs: dict[str, PodSpec] = {}
        self._log = root / "log"
        fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.look: Callable[[Pod], Pod] = self._with_spec
        self.events: list[tuple[str, str, str]] = []
        given = Given(specs=self.specs, exclusive_cpus=self._exclusive_cpus, events=SentEvents(self.events))
        self.daemon = Daemon(Config(state_dir=root / "state", host_root=host, listen=None), given, log_fd=fd)
        self.daemon.parts.present.take()

    def _exclusive_cpus(self, parts: Parts) -> ExclusiveCPUs:
        self.cpus = ExclusiveCPUs(
            parts.allocator,
            parts.ledger,
            parts.requests,
            parts.present,
            lambda pod_id: None,
            SentEvents(self.events),
            parts.log,
            lambda pod: self.look(pod),
            awaits_specs=self._awaits,
        )
        return self.cpus

    def _with_spec(self, pod: Pod) -> Pod:
        return replace(pod, spec=self.specs.get(pod.uid, pod.spec))

    def learn(self, uid: str, spec: PodSpec) -> None:
        """The API server reports a pod."""
        self.specs[uid] = spec
        self.cpus.spec_known(uid)

    def create(self, name: str, *env: str, qos: str = "LS", container: str = "main") -> str:
        """A container with this environment, and its pod; the CPUs that it gets."""
        request = api.CreateContainerRequest(pod=_pod(name, qos), container=_container(name, env, container))
        if self.daemon.parts.ledger.pod(name) is None:
            self._handle("RunPodSandbox", api.RunPodSandboxRequest(pod=request.pod))
        return str(self._handle("CreateContainer", request).adjust.linux.resources.cpu.cpus)

    def synchronize(self, name: str, *env: str) -> None:
        message = api.SynchronizeRequest(pods=[_pod(name, "LS")], containers=[_container(name, env, "main")])
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.daemon.parts.handler.synchronize(seen.pods, seen.containers)
        assert answer.settle is not None
        answer.settle()

    def remove(self, name: str) -> None:
        self._handle("RemovePodSandbox", api.RemovePodSandboxRequest(pod=_pod(name, "LS")))

    @property
    def believed(self) -> dict[str, dict[str, str]]:
        return {
            p.removeprefix("uid-"): dict(of) for p, of in self.daemon.parts.present.up_to_date().node.dra_cpus.items()
        }

    @property
    def pool(self) -> list[str]:
        return [pool.cpus for pool in self.daemon.parts.present.up_to_date().node.ls_pools]

    def logged(self) -> list[str]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [f"{line['pod']} {line['error']}" for line in lines if line["event"] == "not_entitled"]

    def policy(self, trust: dict[str, Any]) -> None:
        text = json.dumps({"koordnri-config": {"clusterStrategy": {"trust": trust}}})
        assert self.daemon.parts.standing.take(
            lambda: load_policy(text, "test"), "test", self.daemon.parts.changes.enforce
        )
        self.cpus.trust_changed()  # the daemon's own, which `changes` knows, is replaced by this one

    def _handle(self, method: str, request: Any) -> Any:
        answer = self.daemon.parts.handler.handle(method, request.SerializeToString())
        if answer.settle is not None:
            answer.settle()
        return answer.message


def _pod(name: str, qos: str) -> api.PodSandbox:
    return messages.pod(name, qos, f"/kubepods/poduid-{name}")


def _container(pod: str, env: tuple[str, ...], name: str) -> api.Container:
    container = messages.container(f"{pod}-{name}", pod, name=name, env=env, state=api.CONTAINER_RUNNING)
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = 2048, 200_000, 100_000
    return container


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize("claimed", [{"dra.cpu": 6}, {"gpu.nvidia.com": 1, "dra.cpu": 8}])
def test_of_a_pod_whose_claims_a_listed_driver_satisfied_it_is_believed(node: Node, claimed: dict[str, int]) -> None:
    node.specs["uid-a"] = replace(NOT_READ, claimed_cpus=claimed)
    assert node.create("a", ENV) == "", "left to the driver"
    assert node.believed == {"a": {"main": CPUSet.parse("0-5")}}
    assert node.create("b") == "6-7"
    assert node.events == []


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (NO_CLAIMS, NONE),
        (replace(NOT_READ, claimed_cpus={"gpu.nvidia.com": 8}), "trust.draDrivers), the pod has gpu.nvidia.com"),
        (replace(NOT_READ, claimed_cpus={}), "claims with devices of dra.cpu (koordnri-config.trust.draDrivers), the pod has none"),
        (replace(NOT_READ, claimed_cpus={"dra.cpu": 2}), "it names 6 CPUs (0-5), and dra.cpu gave the pod's claims 2"),
        (replace(NOT_READ, claims_problem="forbidden"), "the pod's claims cannot be read: forbidden"),
    ],
    ids=["no-claims", "unrelated", "not-allocated", "fewer", "forbidden"],
)  # fmt: skip
def test_otherwise_it_is_not_and_its_owner_is_informed_once(node: Node, spec: PodSpec, why: str) -> None:
    node.specs["uid-a"] = spec
    for _ in range(2):  # a container that fails is created again and again
        node.create("a", ENV)
    assert (node.believed, node.pool) == ({}, [])
    [(pod, reason, message)] = node.events
    assert (pod, reason) == ("a", "NotEntitled")
    assert why in message
    node.daemon.parts.writer.close()
    assert node.logged() == [f"shop/a {message}"]
    assert node.daemon.parts.decisions.verdicts == {("draDrivers", "refused"): 1}


def test_the_containers_of_a_pod_have_no_more_cpus_together_than_its_claims(node: Node) -> None:
    node.specs["uid-a"] = replace(NOT_READ, claimed_cpus={"dra.cpu": 2})
    node.create("a", "DRA_CPUSET_x=0-1")
    node.create("a", "DRA_CPUSET_x=0-1", container="shares-it")
    assert node.pool == ["2-7"]
    node.create("a", "DRA_CPUSET_x=2-3", container="side")
    assert (node.believed, node.pool) == ({}, [])


def test_drivers_are_those_that_the_policy_lists(node: Node) -> None:
    node.specs["uid-a"] = replace(NOT_READ, claimed_cpus={"cpu.example.com": 8})
    node.create("a", ENV)
    assert node.believed == {}
    node.policy({"draDrivers": ["dra.cpu", "cpu.example.com"]})
    assert node.pool == ["6-7"]
    node.policy({})
    assert node.believed == {}
    node.policy({"mode": "observe"})
    assert node.pool == ["6-7"]


def test_without_the_api_server_it_is_believed_where_the_policy_says_so(tmp_path: Path) -> None:
    node = Node(tmp_path, awaits=False)
    node.create("a", ENV)
    assert (node.believed, node.events) == ({}, []), "no Event: nobody is known to have done wrong"
    node.policy({"withoutSpec": "believe"})
    assert node.pool == ["6-7"]


def test_a_container_that_is_not_believed_is_decided_like_any_other(node: Node) -> None:
    node.specs["uid-a"] = NO_CLAIMS
    assert node.create("own", qos="LSR") == "0-1"
    assert node.create("a", ENV) == "2-7"
    assert node.create("b", ENV.replace("0-5", "0-7"), qos="LSR") == "", "of its pod, nothing is known"


@pytest.mark.parametrize("first", [None, NOT_READ], ids=["not-known", "claims-not-read"])
def test_what_is_not_known_yet_is_believed_until_it_is(node: Node, first: PodSpec | None) -> None:
    if first is not None:
        node.specs["uid-a"] = first
    node.create("a", ENV)
    node.create("a", "DRA_CPUSET_x=6", container="side")
    assert (node.believed, node.pool) == ({"a": {"main": CPUSet.parse("0-5"), "side": CPUSet.parse("6")}}, ["7"])
    node.learn("uid-b", NO_CLAIMS)
    node.learn("uid-a", CLAIMS)
    assert node.pool == ["7"]
    node.learn("uid-a", NO_CLAIMS)
    assert (node.believed, node.pool) == ({}, [])
    node.learn("uid-a", CLAIMS)
    assert node.pool == ["7"], "claims that could be read only later"


def test_a_spec_that_comes_while_it_is_noted_is_not_missed(node: Node) -> None:
    seen: list[Pod] = []

    def look(pod: Pod) -> Pod:
        seen.append(pod)
        return replace(pod, spec=NO_CLAIMS if len(seen) > 1 else None)

    node.look = look
    node.create("a", ENV)
    assert len(seen) == 3, "once before it is noted, and until the verdict stays"
    assert (node.believed, [reason for _, reason, _ in node.events]) == ({}, ["NotEntitled"])


def test_what_runs_already_is_believed_by_the_same_rule(node: Node) -> None:
    node.specs["uid-a"] = NO_CLAIMS
    node.synchronize("a", ENV)
    assert (node.believed, [pod for pod, _, _ in node.events]) == ({}, ["a"])
    node.synchronize("b", ENV)
    assert (node.believed, node.pool) == ({"b": {"main": CPUSet.parse("0-5")}}, ["6-7"])
    node.learn("uid-b", NO_CLAIMS)
    assert (node.believed, node.pool) == ({}, [])


def test_of_a_pod_that_went_nothing_is_given_back_nor_reported(node: Node) -> None:
    node.create("a", ENV)
    node.remove("a")
    node.learn("uid-a", NO_CLAIMS)
    assert (node.believed, node.events) == ({}, [])
