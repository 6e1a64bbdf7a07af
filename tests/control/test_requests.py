"""What a pod requests, as far as it can be known."""

from __future__ import annotations

import pytest

from koordnri.control.requests import cpu_limit_milli, cpu_request_milli, memory_request_bytes
from koordnri.model import Resources
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.state.entry import Entry
from tests.support.pods import pod as pod_of

MAIN = Entry("c", "main", "web", Resources(cpu_shares=512, cpu_quota=150_000))
BATCH = {"containers": {"main": {"requests": {BATCH_CPU: "700", BATCH_MEMORY: "1Mi"}, "limits": {BATCH_CPU: "900"}}}}


def of(**requests: str) -> PodSpec:
    return PodSpec({"main": ContainerSpec(requests, {"cpu": "2"}), "side": ContainerSpec({"cpu": "100m"}, {})})


def test_the_spec_counts_where_it_is_known():
    pod = pod_of("LS", spec=of(cpu="250m", memory="1Mi"))
    assert cpu_request_milli(pod, [MAIN]) == 350
    assert memory_request_bytes(pod) == 1 << 20
    assert cpu_limit_milli(pod, Entry("c", "main", "web", Resources())) == 2000


def test_a_limit_that_kubelet_has_not_granted_is_none():
    """A resize in place that the node has no room for stays in the spec."""
    assert cpu_limit_milli(pod_of("LS", spec=of(cpu="250m")), MAIN) == 1500


def test_without_it_kubelets_shares_and_quota_do():
    pod = pod_of("LS")
    assert cpu_request_milli(pod, [MAIN, Entry("d", "side", "web", Resources(cpu_shares=2))]) == 500
    assert memory_request_bytes(pod) == 0
    assert cpu_limit_milli(pod, MAIN) == 1500
    assert cpu_limit_milli(pod, Entry("d", "side", "web", Resources())) is None


def test_a_best_effort_pod_requests_batch_resources():
    pod = pod_of("BE", annotations={EXTENDED_RESOURCE_SPEC.key: BATCH})
    assert (cpu_request_milli(pod, [MAIN]), memory_request_bytes(pod)) == (700, 1 << 20)
    spec = PodSpec({"main": ContainerSpec({BATCH_CPU: "300", BATCH_MEMORY: "2Mi"}, {BATCH_CPU: "400"})})
    pod = pod_of("BE", spec=spec)
    assert (cpu_request_milli(pod, [MAIN]), memory_request_bytes(pod)) == (300, 2 << 20)
    assert cpu_limit_milli(pod, Entry("c", "main", "web", Resources(cpu_shares=2))) == 400


@pytest.mark.parametrize("pod", [
    pod_of("LS", spec=of(cpu="many")), pod_of("BE", annotations={EXTENDED_RESOURCE_SPEC.key: "{"}, spec=of(cpu="x")),
])  # fmt: skip
def test_a_mistake_counts_as_no_request(pod):
    assert cpu_request_milli(pod, [MAIN]) == 100
