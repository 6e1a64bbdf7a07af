"""What counts against the mid and batch resources that the Node offers."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.control.class_requests import NO_CLASS_REQUESTS, ClassRequests, class_requests
from koordnri.model import Pod
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, MID_CPU, MID_MEMORY
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.priority import CLASS_LABEL
from tests.support.pods import pod as pod_of

ALL = {BATCH_CPU: "700", BATCH_MEMORY: "1Mi", MID_CPU: "300", MID_MEMORY: "2Mi", "cpu": "5", "memory": "1Gi"}
OF_BATCH, OF_MID = ClassRequests(700, 1 << 20), ClassRequests(300, 2 << 20)


def of(qos: str, priority: int | None, requests: Any = ALL, **more: Any) -> Pod:
    return pod_of(qos, spec=PodSpec({"main": ContainerSpec(requests, {})}, priority=priority), **more)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(of("LS", 7000), OF_MID, id="mid by its priority"),
        pytest.param(of("LS", 7999), OF_MID, id="the highest of mid"),
        pytest.param(of("LS", 8000), NO_CLASS_REQUESTS, id="above mid: prod"),
        pytest.param(of("LS", 6999), NO_CLASS_REQUESTS, id="between batch and mid: prod"),
        pytest.param(of("BE", 7500), OF_MID, id="a BE pod of koord-mid"),
        pytest.param(of("LS", 9500, labels={CLASS_LABEL: "koord-mid"}), OF_MID, id="mid by its label"),
        pytest.param(of("LS", 7500, labels={CLASS_LABEL: "koord-prod"}), NO_CLASS_REQUESTS, id="prod by its label"),
        pytest.param(of("LS", 5500), OF_BATCH, id="an LS pod of koord-batch"),
        pytest.param(of("BE", 0), OF_BATCH, id="a BE pod of no class"),
        pytest.param(of("LS", None), NO_CLASS_REQUESTS, id="an LS pod of no class"),
        pytest.param(of("BE", 3500), NO_CLASS_REQUESTS, id="koord-free"),
        pytest.param(pod_of("BE"), NO_CLASS_REQUESTS, id="its spec is not known"),
        pytest.param(of("LS", 7500, {"cpu": "5", "memory": "1Gi"}), NO_CLASS_REQUESTS, id="only CPU and memory"),
        pytest.param(of("LS", 7500, {MID_CPU: "many", MID_MEMORY: "-5"}), NO_CLASS_REQUESTS, id="no quantities"),
    ],
)
def test_the_resource_follows_the_priority_class(pod: Pod, expected: ClassRequests) -> None:
    assert class_requests(pod) == expected


def test_containers_and_sidecars_count_and_init_containers_do_not() -> None:
    containers = {
        "setup": ContainerSpec({MID_CPU: "9000", MID_MEMORY: "9Gi"}, {}, init=True),
        "proxy": ContainerSpec({MID_CPU: "50", MID_MEMORY: "10Mi"}, {}, sidecar=True),
        "main": ContainerSpec({MID_CPU: "1k", MID_MEMORY: "1Gi"}, {}),
        "other": ContainerSpec({MID_CPU: 200}, {MID_CPU: "400"}),
    }
    pod = pod_of("LS", spec=PodSpec(containers, priority=7500))
    assert class_requests(pod) == ClassRequests(50 + 1000 + 200, (10 << 20) + (1 << 30))


def test_an_annotation_does_not_count_as_a_request() -> None:
    """The scheduler has counted the spec. Otherwise whoever writes the annotation could have other pods evicted."""
    asked = {"containers": {"main": {"requests": {BATCH_CPU: "90000", BATCH_MEMORY: "90Gi"}}}}
    pod = of("BE", 5500, {BATCH_CPU: "100"}, annotations={EXTENDED_RESOURCE_SPEC.key: asked})
    assert class_requests(pod) == ClassRequests(100, 0)
