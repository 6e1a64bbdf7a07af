"""The pods that the runtime reports, completed with what others know of them."""

from __future__ import annotations

from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.wire import api_pb2 as api
from tests.session.one_node import PINNED, Node


def test_a_pod_is_remembered_as_reported_with_what_its_spec_says():
    spec = PodSpec({"main": ContainerSpec({"cpu": "1"}, {})})
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
