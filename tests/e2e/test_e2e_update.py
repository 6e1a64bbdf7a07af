"""What kubelet changes later: an in-place resize, and the static CPU manager's cpuset."""

import json

import pytest

from tests.e2e import pods
from tests.e2e.kubelet import Kubelet

pytestmark = pytest.mark.usefixtures("daemon")


def test_a_resized_pinned_container_keeps_its_cpus_and_no_quota(kubelet: Kubelet) -> None:
    container = pods.pinned(kubelet)

    kubelet.resize(container, cpu_request_m=2000, cpu_limit_m=2000, memory_limit=128 * pods.MIB)

    pods.check_pinned(kubelet, container)
    assert kubelet.has_shares(container, 2048)
    assert kubelet.read(container, "memory.limit") == 128 * pods.MIB


def test_a_resized_batch_container_keeps_its_batch_resources(kubelet: Kubelet) -> None:
    container = pods.batch(kubelet)

    kubelet.resize(container, cpu_request_m=100, cpu_limit_m=200, memory_limit=32 * pods.MIB)

    pods.check_batch(kubelet, container)


def test_a_container_without_qos_gets_what_the_resize_asks(kubelet: Kubelet) -> None:
    container = pods.plain(kubelet)

    kubelet.resize(container, cpu_request_m=500, cpu_limit_m=1000, memory_limit=128 * pods.MIB)

    assert kubelet.reads(container, "cpu.quota", "memory.limit") == {
        "cpu.quota": 100_000,
        "memory.limit": 128 * pods.MIB,
    }
    assert kubelet.has_shares(container, 512)


def test_the_static_cpu_manager_does_not_move_a_pinned_container(kubelet: Kubelet) -> None:
    container = pods.pinned(kubelet)

    for cpus in ("0", "0-1"):
        kubelet.rewrite_cpuset(container, cpus)
        pods.check_pinned(kubelet, container)


def test_the_static_cpu_manager_moves_a_container_without_qos(kubelet: Kubelet) -> None:
    container = pods.plain(kubelet)
    kubelet.rewrite_cpuset(container, "0")
    assert kubelet.read(container, "cpu.cpus") == "0"


def test_a_cpuset_in_the_create_request_yields_to_the_scheduler(kubelet: Kubelet) -> None:
    pod = kubelet.run_pod(qos="Guaranteed", annotations={pods.RESOURCE_STATUS: json.dumps({"cpuset": "1"})})
    container = kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000, cpus="0")
    pods.check_pinned(kubelet, container)
