"""CPU bursts and an idle class in real cgroup files, of both versions. Kernels before 5.15 have neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.lab import eventually
from tests.e2e.pods import MIB

NewDaemon = Callable[..., Daemon]
BURST = 'cpu-burst-config: {"clusterStrategy": {"policy": "auto"}}\n'
HALF_BURST = 'cpu-burst-config: {"clusterStrategy": {"policy": "auto", "cpuBurstPercent": 50}}\n'
IDLE = 'resource-qos-config: {"clusterStrategy": {"beClass": {"cpuQOS": {"enable": true, "schedIdle": 1}}}}\n'
LIMIT_US = 80_000
"""of pods.normalised"""


def directory(kubelet: Kubelet, container: Container) -> Path:
    """The container's cgroup that has its CPU files."""
    return kubelet.cgroups.of(kubelet.pid(container))["cpu" if kubelet.cgroups.version == 1 else ""]


def number(file: Path) -> int:
    return int(file.read_text())


def eventually_bursts(kubelet: Kubelet, container: Container, us: int) -> None:
    file = directory(kubelet, container) / ("cpu.cfs_burst_us" if kubelet.cgroups.version == 1 else "cpu.max.burst")
    eventually(lambda: number(file) == us, f"{file} to be {us}")


def test_a_container_bursts_by_its_quota_and_follows_policy_and_annotation(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(policy=BURST)
    daemon.start()
    container = pods.normalised(kubelet)
    eventually_bursts(kubelet, container, LIMIT_US)
    own = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, annotations={"koordinator.sh/cpuBurst": '{"policy": "none"}'})
    without = kubelet.run_container(own, cpu_request_m=100, cpu_limit_m=500)
    unlimited = kubelet.run_container(kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}), cpu_request_m=100)
    batch = pods.batch(kubelet)

    daemon.policy_file.write_text(HALF_BURST)
    eventually_bursts(kubelet, container, LIMIT_US // 2)
    daemon.policy_file.write_text(pods.RATIO_2 + BURST)
    eventually(lambda: kubelet.read(container, "cpu.quota") == LIMIT_US // 2, "the normalised quota")
    eventually_bursts(kubelet, container, LIMIT_US // 2)
    for other in (without, unlimited, batch):
        eventually_bursts(kubelet, other, 0)
    daemon.policy_file.write_text("{}\n")
    eventually_bursts(kubelet, container, 0)
    eventually(lambda: kubelet.read(container, "cpu.quota") == LIMIT_US, "the quota that kubelet asked")
    assert daemon.metric("koordnri_apply_failures_total", field="cpu.burst") == 0
    assert daemon.metric("koordnri_apply_failures_total", field="cpu.quota") == 0


def test_a_bursting_container_can_be_shrunk_in_place(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    """The kernel refuses a quota below the burst, of which kubelet knows nothing: it tries again, and the burst is out of its way."""
    new_daemon(policy=BURST).start()
    container = pods.normalised(kubelet)
    eventually_bursts(kubelet, container, LIMIT_US)

    refusals: list[str] = []

    def shrunk() -> bool:
        try:
            kubelet.resize(container, cpu_request_m=100, cpu_limit_m=200, memory_limit=64 * MIB)
        except grpc.RpcError as error:
            refusals.append(str(error))
            return False
        return True

    eventually(shrunk, "kubelet's resize to come through")
    assert kubelet.read(container, "cpu.quota") == 20_000
    eventually_bursts(kubelet, container, 20_000)


def test_the_besteffort_class_is_idle_as_long_as_the_policy_says(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=IDLE)
    daemon.start()
    batch = pods.batch(kubelet)
    own = directory(kubelet, batch)
    idle = own.parent.parent / "cpu.idle"
    eventually(lambda: number(idle) == 1, f"{idle} to be 1")
    # Pods come and go below it as ever.
    another = pods.batch(kubelet)
    pods.check_batch(kubelet, another)
    assert number(own / "cpu.idle") == number(own.parent / "cpu.idle") == 0

    daemon.policy_file.write_text("{}\n")
    eventually(lambda: number(idle) == 0, f"{idle} to be 0")


def test_a_pod_bursts_by_the_sum_of_its_containers_and_kubelet_can_shrink_it(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    new_daemon(policy=BURST).start()
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_request_m=400, cpu_limit_m=800)
    container = kubelet.run_container(pod, cpu_request_m=400, cpu_limit_m=800)
    name = "cpu.cfs_burst_us" if kubelet.cgroups.version == 1 else "cpu.max.burst"
    file = directory(kubelet, container).parent / name
    eventually(lambda: number(file) == LIMIT_US, f"{file} to be {LIMIT_US}")

    def done(act: Callable[[], None]) -> bool:
        try:
            act()
        except (grpc.RpcError, OSError):
            return False
        return True

    eventually(
        lambda: done(lambda: kubelet.resize(container, cpu_request_m=100, cpu_limit_m=200)), "the container's resize"
    )
    eventually(lambda: done(lambda: kubelet.resize_pod(pod, cpu_request_m=100, cpu_limit_m=200)), "the pod's resize")
    eventually(lambda: number(file) == 20_000, f"{file} to be 20000")
