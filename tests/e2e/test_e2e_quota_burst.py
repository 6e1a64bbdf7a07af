"""Quota burst on real cgroups: a service that its limit throttles gets more quota, and nothing of it stays.

How busy the machine is, is faked: to the daemon it is idle, whatever runs beside these tests.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
LIMIT_M, BASE_US = 100, 10_000
BUSY_UNTIL_USR1 = "trap quiet=1 USR1; while [ -z $quiet ]; do :; done; exec sleep 3600"
ON, OFF = 'cpu-burst-config: {"policy": "cfsQuotaBurstOnly"}\n', "{}\n"
QUIET_S = 90.0
"""The controller waits for 20 s of quiet; a virtual machine is slow."""


@pytest.fixture
def idle(tmp_path: Path) -> list[str]:
    """A program that executes a command for which the machine stays idle."""
    stat = tmp_path / "stat"
    stat.write_text(Path("/proc/stat").read_text())
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {stat} /proc/stat && exec "$@"', "sh"]


@pytest.fixture
def throttled(kubelet: Kubelet) -> Container:
    """A running LS container that uses all of its limit."""
    asked = {"cpu_request_m": LIMIT_M, "cpu_limit_m": LIMIT_M}
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, **asked)
    return kubelet.run_container(pod, command=("/bin/sh", "-c", BUSY_UNTIL_USR1), **asked)


def quotas(kubelet: Kubelet, container: Container) -> tuple[int, int]:
    """Of the container and of its pod, µs."""
    pod = kubelet.cgroups.of_pod(kubelet.pid(container))
    return int(kubelet.read(container, "cpu.quota")), int(kubelet.cgroups.read(pod, "cpu.quota"))


def wait_raised(kubelet: Kubelet, container: Container) -> None:
    """Wait for a quota above the limit; the pod's is never below."""

    def raised() -> bool:
        own, of_pod = quotas(kubelet, container)
        return own > BASE_US and of_pod >= own

    eventually(raised, "more quota for the container and its pod")


def wait_back(kubelet: Kubelet, container: Container) -> None:
    """Wait for the quotas that kubelet set."""
    eventually(lambda: quotas(kubelet, container) == (BASE_US, BASE_US), "kubelet's quotas", QUIET_S)


def test_a_throttled_service_gets_quota_and_gives_it_back_when_it_is_quiet(
    kubelet: Kubelet, new_daemon: NewDaemon, idle: list[str], throttled: Container
) -> None:
    daemon = new_daemon(policy=ON, under=idle)
    daemon.start()
    wait_raised(kubelet, throttled)
    os.kill(kubelet.pid(throttled), signal.SIGUSR1)
    wait_back(kubelet, throttled)
    assert daemon.metric("koordnri_apply_failures_total") == 0


def test_turned_off_or_killed_in_the_middle_nothing_of_it_stays(
    kubelet: Kubelet, new_daemon: NewDaemon, idle: list[str], throttled: Container
) -> None:
    daemon = new_daemon(policy=ON, under=idle)
    daemon.start()
    wait_raised(kubelet, throttled)
    daemon.policy_file.write_text(OFF)
    wait_back(kubelet, throttled)
    daemon.policy_file.write_text(ON)
    wait_raised(kubelet, throttled)
    daemon.kill()
    assert quotas(kubelet, throttled)[0] > BASE_US, "who kills the daemon changes no container"
    daemon.policy_file.write_text(OFF)
    daemon.start()
    wait_back(kubelet, throttled)
