"""CPU bursts and idle pods in real cgroup files, of both versions. Kernels before 5.15 have neither."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import grpc

from tests.e2e import lab, pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
BURST = 'cpu-burst-config: {"clusterStrategy": {"policy": "auto"}}\n'
HALF_BURST = 'cpu-burst-config: {"clusterStrategy": {"policy": "auto", "cpuBurstPercent": 50}}\n'
IDLE = 'resource-qos-config: {"clusterStrategy": {"beClass": {"cpuQOS": {"enable": true, "schedIdle": 1}}}}\n'
LIMIT_US = 80_000
"""of pods.normalised"""


def directory(kubelet: Kubelet, container: Container) -> Path:
    """The container's cgroup that has its CPU files."""
    return kubelet.cgroups.of(kubelet.pid(container))["cpu" if kubelet.cgroups.version == 1 else ""]


def pod_directory(kubelet: Kubelet, container: Container) -> Path:
    """The cgroup of its pod that has the CPU files."""
    return kubelet.cgroups.of_pod(kubelet.pid(container))["cpu" if kubelet.cgroups.version == 1 else ""]


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


def test_batch_pods_are_idle_and_a_kubelet_that_starts_can_set_its_classes(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(policy=IDLE)
    daemon.start()
    batch = pods.batch(kubelet)
    own = directory(kubelet, batch)
    pod = pod_directory(kubelet, batch)
    of_class = pod.parent
    eventually(lambda: number(pod / "cpu.idle") == 1, f"{pod}/cpu.idle to be 1")
    # What kubelet writes at its start and once a minute; it ends when one of these fails.
    name, least = ("cpu.shares", 2) if kubelet.cgroups.version == 1 else ("cpu.weight", 1)
    (of_class / name).write_text(str(least))
    assert number(of_class / "cpu.idle") == number(own / "cpu.idle") == 0
    # Pods come and go as ever.
    another = pods.batch(kubelet)
    eventually(lambda: number(pod_directory(kubelet, another) / "cpu.idle") == 1, "another pod to be idle")

    daemon.policy_file.write_text("{}\n")
    eventually(lambda: number(pod / "cpu.idle") == 0, f"{pod}/cpu.idle to be 0")
    pods.check_batch(kubelet, another)
    assert daemon.metric("koordnri_apply_failures_total", field="cpu.idle") == 0
    assert daemon.metric("koordnri_apply_failures_total", field="cpu.shares") == 0


def test_a_pod_that_systemd_takes_out_of_idleness_is_idle_again(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    """`systemctl set-property CPUWeight=` writes cpu.idle 0, then the weight; without systemd the test does."""
    daemon = new_daemon(policy=IDLE)
    daemon.start()
    pod = pod_directory(kubelet, pods.batch(kubelet))
    eventually(lambda: number(pod / "cpu.idle") == 1, f"{pod}/cpu.idle to be 1")
    healed = daemon.metric("koordnri_drift_healed_total", field="cpu.idle")
    if lab.SYSTEMD:
        subprocess.run(["systemctl", "set-property", "--runtime", pod.name, "CPUWeight=200"], check=True)
    else:
        (pod / "cpu.idle").write_text("0")
        (pod / ("cpu.shares" if kubelet.cgroups.version == 1 else "cpu.weight")).write_text("200")
    eventually(lambda: number(pod / "cpu.idle") == 1, f"{pod}/cpu.idle to be 1 again")
    eventually(
        lambda: daemon.metric("koordnri_drift_healed_total", field="cpu.idle") > healed, "the loss of it to be counted"
    )


def test_a_class_that_was_left_idle_is_taken_back(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    """Earlier versions made the class idle, with which kubelet does not start."""
    of_class = pod_directory(kubelet, pods.batch(kubelet)).parent
    (of_class / "cpu.idle").write_text("1")
    new_daemon(policy=IDLE).start()
    eventually(lambda: number(of_class / "cpu.idle") == 0, f"{of_class}/cpu.idle to be 0")


def test_a_pod_bursts_by_the_sum_of_its_containers_and_kubelet_can_shrink_it(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    new_daemon(policy=BURST).start()
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_request_m=400, cpu_limit_m=800)
    container = kubelet.run_container(pod, cpu_request_m=400, cpu_limit_m=800)
    name = "cpu.cfs_burst_us" if kubelet.cgroups.version == 1 else "cpu.max.burst"
    file = pod_directory(kubelet, container) / name
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
