"""The pods that the runtime reports, completed with what others know of them."""

from __future__ import annotations

from typing import Any

from koordnri.model import Pod
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import Policy
from koordnri.wire import api_pb2 as api
from tests.session.one_node import PINNED, Node
from tests.support.policies import policy_of


def test_a_pod_is_remembered_as_reported_with_what_its_spec_says():
    spec = PodSpec({"main": ContainerSpec({"cpu": "2"}, {})}, scheduler_name="koord-scheduler")
    node = Node(specs={"uid-p1": spec})
    node.pod(annotations=PINNED)
    answer = node.send("RunPodSandbox", api.RunPodSandboxRequest(pod=node.pods["p1"]))
    assert answer.message is None
    pod = node.ledger.pod("p1")
    assert pod is not None
    assert (pod.name, pod.annotations, pod.spec) == ("p1", PINNED, spec)


def test_a_pod_is_parsed_once_and_again_when_its_annotations_are_others():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    first = node.ledger.pod("p1")
    node.create("p1", "c2")
    assert node.ledger.pod("p1") is first
    node.pod(annotations={RESOURCE_STATUS.key: '{"cpuset": "4"}'})
    assert node.create("p1", "c3").linux.resources.cpu.cpus == "4"
    assert node.ledger.pod("p1") is not first


def rules(mode: str, **more: Any) -> Policy:
    return policy_of(koordnri_config={"clusterStrategy": {"trust": {"mode": mode, **more}}})


def test_what_the_trust_rules_refuse_is_missing_in_the_pod_of_the_ledger():
    node = Node(rules("enforce"))
    assert node.create(node.pod(annotations=PINNED)).linux.resources.cpu.cpus == ""
    pod = node.ledger.pod("p1")
    assert pod is not None
    assert (pod.annotations, [v.outcome for v in pod.verdicts]) == ({}, ["unknown"])
    node.create("p1", "c2")
    assert node.ledger.pod("p1") is pod, "the runtime reports the same annotations"


def test_what_is_only_observed_has_its_effect():
    node = Node(rules("observe"))
    assert node.create(node.pod(annotations=PINNED)).linux.resources.cpu.cpus == "2-3"
    pod = node.ledger.pod("p1")
    assert pod is not None
    assert [v.outcome for v in pod.verdicts] == ["observed"]


def test_rules_that_change_before_a_pod_is_stored_count_for_it():
    node = Node(rules("enforce"))
    remember = node.ledger.remember_pod

    def change_first(pod: Pod) -> None:
        node.handler.snapshot = node.handler.snapshot._replace(policy=rules("off"))
        remember(pod)

    node.ledger.remember_pod = change_first
    assert node.create(node.pod(annotations=PINNED)).linux.resources.cpu.cpus == "2-3"
