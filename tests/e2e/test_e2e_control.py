"""CPU suppress on real cgroups: best-effort work gets less when a service wakes, more when it sleeps, and nothing of it stays.

How busy the machine is, is faked: to the daemon it is idle but for the service, whatever runs beside these tests.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
SLEEPS_UNTIL_USR1 = (
    "trap busy=1 USR1; trap busy= USR2; trap 'exit 0' TERM; while :; do [ -n \"$busy\" ] || sleep 0.1; done"
)
QUOTA = (
    'resource-threshold-config: {"clusterStrategy": '
    '{"enable": true, "cpuSuppressPolicy": "cfsQuota", "cpuSuppressThresholdPercent": 50}}\n'
)
CPUS = QUOTA.replace("cfsQuota", "cpuset")
OFF = "{}\n"
NOTICED_US = 20_000
"""A fifth of a CPU: the service uses more than that when it works, however busy the machine is, and less when it sleeps."""
FREED_S = 90.0
"""It takes some 5 s; a virtual machine is slow."""


@pytest.fixture
def idle(tmp_path: Path) -> list[str]:
    """A program that executes a command for which the machine stays idle."""
    stat = tmp_path / "stat"
    stat.write_text(Path("/proc/stat").read_text())
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {stat} /proc/stat && exec "$@"', "sh"]


def of_class(kubelet: Kubelet, batch: Container, field: str) -> str:
    """A field of the cgroup of all BestEffort pods."""
    found = kubelet.cgroups.of_pod(kubelet.pid(batch))
    return str(kubelet.cgroups.read({name: path.parent for name, path in found.items()}, field))


def quotas(kubelet: Kubelet, batch: Container) -> tuple[int, int]:
    """Of the class, and of the batch container, µs."""
    return int(of_class(kubelet, batch, "cpu.quota")), int(kubelet.read(batch, "cpu.quota"))


def test_batch_gets_less_while_a_service_works_and_its_own_quota_back_when_it_is_turned_off(
    kubelet: Kubelet, new_daemon: NewDaemon, idle: list[str]
) -> None:
    batch = pods.batch(kubelet)
    service = kubelet.run_container(
        kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_request_m=2000),
        cpu_request_m=2000,
        command=("/bin/sh", "-c", SLEEPS_UNTIL_USR1),
    )
    daemon = new_daemon(policy=QUOTA, under=idle)
    daemon.start()
    half_us = (os.cpu_count() or 1) * 50_000

    def has_half() -> bool:
        of_all, own = quotas(kubelet, batch)
        assert (of_all > half_us - NOTICED_US, of_all <= half_us, own) == (True, True, pods.UNLIMITED), (of_all, own)
        return True

    eventually(has_half, "the class to have half of the node")
    for name, stops, bound in (
        ("suppressed", signal.SIGUSR1, lambda: quotas(kubelet, batch)[0] <= half_us - NOTICED_US),
        ("freed", signal.SIGUSR2, has_half),
    ):
        began = time.monotonic()
        os.kill(kubelet.pid(service), stops)
        eventually(bound, f"batch to be {name}", FREED_S)
        print(f"{name} after {time.monotonic() - began:.1f} s")
    assert daemon.metric("koordnri_controller_actuations_total", controller="cpuSuppress", direction="down") > 0
    assert daemon.metric("koordnri_apply_failures_total") == 0
    before = (pods.UNLIMITED, pods.BATCH_QUOTA_US)
    daemon.policy_file.write_text(OFF)
    eventually(lambda: quotas(kubelet, batch) == before, "no trace after it was turned off")
    daemon.policy_file.write_text(QUOTA)
    eventually(has_half, "the class to be bounded again")
    daemon.terminate()
    assert quotas(kubelet, batch)[0] == pods.UNLIMITED, "no trace after the daemon's end"


def test_who_is_killed_in_the_middle_takes_it_back_at_the_next_start(
    kubelet: Kubelet, new_daemon: NewDaemon, idle: list[str]
) -> None:
    batch = pods.batch(kubelet)
    count = os.cpu_count() or 1
    policy = CPUS if count > 3 else QUOTA  # batch keeps two CPUs
    daemon = new_daemon(policy=policy, under=idle)
    daemon.start()

    def bounded() -> bool:
        if policy is QUOTA:
            return quotas(kubelet, batch)[0] > 0
        of_all = kubelet.cgroups.version == 2
        text = of_class(kubelet, batch, "cpu.cpus") if of_all else str(kubelet.read(batch, "cpu.cpus"))
        return 0 < len(CPUSet.parse(text)) < count

    eventually(bounded, "batch to be bounded")
    daemon.kill()
    assert bounded(), "who kills the daemon changes nothing that runs"
    daemon.policy_file.write_text(OFF)
    daemon.start()
    eventually(lambda: not bounded(), "the next start to take it back")
