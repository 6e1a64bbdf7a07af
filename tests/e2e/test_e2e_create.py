"""What a new container gets: cgroup files and environment, on every containerd."""

import json

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet


@pytest.mark.usefixtures("daemon")
def test_a_pinned_container_gets_its_cpus_and_no_quota(kubelet: Kubelet) -> None:
    container = pods.pinned(kubelet)

    pods.check_pinned(kubelet, container)
    assert kubelet.read(container, "memory.limit") == 64 * pods.MIB
    assert "Cpus_allowed_list:\t1\n" in kubelet.exec(container, "cat", "/proc/self/status")


@pytest.mark.usefixtures("daemon")
def test_a_batch_container_gets_its_batch_resources(kubelet: Kubelet) -> None:
    pods.check_batch(kubelet, pods.batch(kubelet))


@pytest.mark.usefixtures("daemon")
def test_allocated_gpus_reach_the_environment(kubelet: Kubelet) -> None:
    container = kubelet.run_container(kubelet.run_pod(annotations=pods.gpus(0, 3)), env={"COLOUR": "green"})

    environment = kubelet.environment(container)
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "0,3"
    assert environment["COLOUR"] == "green"


def test_a_container_without_qos_keeps_what_kubelet_asked(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.plain(kubelet)

    expected = {"cpu.quota": 50_000, "cpu.period": 100_000, "memory.limit": 64 * pods.MIB}
    assert kubelet.reads(container, *expected) == expected
    assert kubelet.has_shares(container, 256)
    assert "NVIDIA_VISIBLE_DEVICES" not in kubelet.environment(container)
    assert daemon.metric("koordnri_registrations_total") == 1


@pytest.mark.parametrize(
    "malformed",
    [
        pytest.param('{"cpuset": "1"', id="truncated"),
        pytest.param('{"cpuset": 7}', id="wrong type"),
        pytest.param('{"cpuset": "4000-4001"}', id="absent CPUs"),
        pytest.param('{"cpuset": "one"}', id="not a cpuset"),
    ],
)
def test_a_malformed_annotation_costs_only_its_own_fields(kubelet: Kubelet, daemon: Daemon, malformed: str) -> None:
    container = pods.batch(kubelet, annotations={pods.RESOURCE_STATUS: malformed, **pods.gpus(2)})

    assert kubelet.running(container)
    pods.check_batch(kubelet, container)
    assert kubelet.environment(container)["NVIDIA_VISIBLE_DEVICES"] == "2"
    assert daemon.metric("koordnri_registrations_total") == 1


@pytest.mark.usefixtures("daemon")
def test_memory_protection_and_throttling_reach_v2_files_and_cost_nothing_on_v1(kubelet: Kubelet) -> None:
    amounts = {"kubernetes.io/batch-cpu": "500", "kubernetes.io/batch-memory": str(64 * pods.MIB)}
    limits = {**amounts, "kubernetes.io/batch-memory": str(96 * pods.MIB)}
    spec = {"containers": {"main": {"requests": amounts, "limits": limits}}}
    asked = {"policy": "default", "minLimitPercent": 50, "lowLimitPercent": 75, "throttlingPercent": 50}
    annotations = {pods.EXTENDED_RESOURCES: json.dumps(spec), pods.MEMORY_QOS: json.dumps(asked)}
    pod = kubelet.run_pod(qos="BestEffort", labels={pods.QOS_CLASS: "BE"}, annotations=annotations)

    container = kubelet.run_container(pod)

    pods.check_batch(kubelet, container)
    expected_mib = {"memory.min": 32, "memory.low": 48, "memory.high": 64 + (96 - 64) // 2}
    # cgroup v1 has none of these files; asking runc for them there would have failed the container.
    v2 = kubelet.cgroups.version == 2
    expected = {name: str(mib * pods.MIB) if v2 else None for name, mib in expected_mib.items()}
    assert {name: kubelet.file(container, name) for name in expected} == expected


@pytest.mark.usefixtures("daemon")
def test_io_limits_reach_v2_files_and_cost_nothing_on_v1(kubelet: Kubelet) -> None:
    disk, number = pods.disk()
    blocks = {"blocks": [{"name": disk, "type": "device", "ioCfg": {"readBPS": pods.MIB, "writeIOPS": 100}}]}

    container = pods.batch(kubelet, annotations={pods.BLKIO_QOS: json.dumps(blocks)})

    pods.check_batch(kubelet, container)
    expected = f"{number} rbps={pods.MIB} wbps=max riops=max wiops=100" if kubelet.cgroups.version == 2 else None
    assert kubelet.file(container, "io.max") == expected


def test_a_disk_that_the_node_has_not_costs_only_the_io_limits(kubelet: Kubelet, daemon: Daemon) -> None:
    blocks = {"blocks": [{"name": "/dev/no-such-disk", "type": "device", "ioCfg": {"readBPS": pods.MIB}}]}

    container = pods.batch(kubelet, annotations={pods.BLKIO_QOS: json.dumps(blocks)})

    assert kubelet.running(container)
    pods.check_batch(kubelet, container)
    assert daemon.metric("koordnri_registrations_total") == 1


@pytest.mark.usefixtures("daemon")
def test_every_container_of_a_pod_is_decided_by_its_own_name(kubelet: Kubelet) -> None:
    amounts = {"kubernetes.io/batch-cpu": "250", "kubernetes.io/batch-memory": str(32 * pods.MIB)}
    spec = {"containers": {"small": {"requests": amounts, "limits": amounts}}}
    pod = kubelet.run_pod(
        qos="BestEffort",
        labels={pods.QOS_CLASS: "BE"},
        annotations={pods.EXTENDED_RESOURCES: json.dumps(spec)},
    )

    small = kubelet.run_container(pod, "small")
    other = kubelet.run_container(pod, "other")

    assert kubelet.reads(small, "cpu.quota", "memory.limit") == {"cpu.quota": 25_000, "memory.limit": 32 * pods.MIB}
    assert kubelet.reads(other, "cpu.quota", "memory.limit") == {"cpu.quota": -1, "memory.limit": -1}
