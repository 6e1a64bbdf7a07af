"""What runs already follows: a policy that changes, a pod's own cgroup, somebody else's hand on a file."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, RATIO_2, UNLIMITED
from tests.e2e.test_e2e_diff import koordnri
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
ASKED_US, HALVED_US = 80_000, 40_000


def eventually_reads(kubelet: Kubelet, container: Container, name: str, value: int) -> None:
    eventually(lambda: kubelet.read(container, name) == value, f"{name} to be {value}")


def pod_reads(kubelet: Kubelet, container: Container, name: str) -> int | str:
    """A value of the pod's own cgroup."""
    return kubelet.cgroups.read(kubelet.cgroups.of_pod(kubelet.pid(container)), name)


def test_a_policy_change_reaches_running_containers_and_switching_it_off_takes_it_back(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon()
    daemon.start()
    container, other = pods.normalised(kubelet), pods.plain(kubelet)
    assert kubelet.read(container, "cpu.quota") == ASKED_US

    daemon.policy_file.write_text(RATIO_2)
    eventually_reads(kubelet, container, "cpu.quota", HALVED_US)
    eventually_reads(kubelet, other, "cpu.quota", 25_000)

    daemon.policy_file.write_text(RATIO_2.replace("true", "false"))
    eventually_reads(kubelet, container, "cpu.quota", ASKED_US)
    eventually_reads(kubelet, other, "cpu.quota", 50_000)
    # Nothing went through the runtime: what follows by files costs the node's creations nothing.
    assert daemon.metric("koordnri_events_total", event="UpdateContainer", outcome="ok") == 0


def test_a_restarted_daemon_takes_back_what_the_one_before_had_written(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    container = pods.normalised(kubelet)
    daemon.policy_file.write_text(RATIO_2)
    eventually_reads(kubelet, container, "cpu.quota", HALVED_US)
    eventually(lambda: (daemon.state_dir / "originals.json").exists(), "the written fields to be saved")
    daemon.kill()
    assert kubelet.read(container, "cpu.quota") == HALVED_US

    daemon.policy_file.write_text("{}\n")
    daemon.start()

    eventually_reads(kubelet, container, "cpu.quota", ASKED_US)


def test_a_released_container_has_what_kubelet_asked_and_keeps_it(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=RATIO_2)
    daemon.start()
    container, other = pods.normalised(kubelet), pods.normalised(kubelet)
    assert kubelet.read(container, "cpu.quota") == HALVED_US

    released = koordnri(daemon, "release", "--pod", f"default/{container.pod.name}", "-o", "json")

    assert (released.returncode, released.stderr) == (0, "")
    assert {row["status"] for row in json.loads(released.stdout)["released"]} <= {"written", "same"}
    assert kubelet.read(container, "cpu.quota") == ASKED_US
    daemon.policy_file.write_text(RATIO_2.replace("2.0", "4.0"))
    eventually_reads(kubelet, other, "cpu.quota", ASKED_US // 4)
    assert kubelet.read(container, "cpu.quota") == ASKED_US


def test_a_pinned_pods_own_quota_is_lifted_and_a_batch_pods_sums_are_set(kubelet: Kubelet, daemon: Daemon) -> None:
    pod = kubelet.run_pod(
        qos="Guaranteed",
        labels={pods.QOS_CLASS: "LSR"},
        annotations={pods.RESOURCE_STATUS: '{"cpuset": "1"}'},
        cpu_request_m=1000,
        cpu_limit_m=1000,
        memory_limit=64 * MIB,
    )
    pinned = kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB)
    batch = pods.batch(kubelet)

    eventually(lambda: pod_reads(kubelet, pinned, "cpu.quota") == UNLIMITED, "the pinned pod to have no quota")
    eventually(lambda: pod_reads(kubelet, batch, "cpu.quota") == pods.BATCH_QUOTA_US, "the batch pod's quota")
    eventually(lambda: pod_reads(kubelet, batch, "memory.limit") == pods.BATCH_MEMORY, "the batch pod's memory limit")
    assert pod_reads(kubelet, pinned, "memory.limit") == 64 * MIB


def test_a_value_that_somebody_changed_is_healed(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.batch(kubelet)
    directories = kubelet.cgroups.of(kubelet.pid(container))
    if kubelet.cgroups.version == 1:
        (directories["cpu"] / "cpu.cfs_quota_us").write_text("33000")
    else:
        (directories[""] / "cpu.max").write_text("33000 100000")

    eventually_reads(kubelet, container, "cpu.quota", pods.BATCH_QUOTA_US)
    assert daemon.metric("koordnri_writes_total", field="cpu.quota", outcome="written") >= 1
