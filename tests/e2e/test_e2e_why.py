"""`koordnri why`: the history of a running container's quota is what its kernel had, over a restart of the daemon, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import RATIO_2
from tests.e2e.test_e2e_diff import koordnri
from tests.e2e.test_e2e_drift import echo_quota, own
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]


def history_of(daemon: Daemon, container: Container) -> list[tuple[Any, ...]]:
    """(old, new, cause) of each change of the container's quota."""
    pod = f"{container.pod.namespace}/{container.pod.name}"
    done = koordnri(daemon, "why", pod, "cpu.quota", "--container", container.name, "-o", "json")
    assert done.returncode == 0, done.stderr
    return [(change["old"], change["new"], change["cause"]) for change in json.loads(done.stdout)["changes"]]


def eventually_reads(kubelet: Kubelet, container: Container, value: int) -> None:
    eventually(lambda: kubelet.read(container, "cpu.quota") == value, f"cpu.quota to be {value}")


def eventually_has(daemon: Daemon, container: Container, expected: list[tuple[Any, ...]]) -> None:
    eventually(lambda: history_of(daemon, container) == expected, f"the history to be {expected}")


def test_the_history_of_a_quota_is_what_the_kernel_had(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    container = pods.normalised(kubelet)
    assert history_of(daemon, container) == []

    daemon.policy_file.write_text(RATIO_2)
    eventually_reads(kubelet, container, 40_000)
    expected: list[tuple[Any, ...]] = [(80_000, 40_000, "policy")]
    eventually_has(daemon, container, expected)

    echo_quota(kubelet, own(kubelet, container), 77_000)
    expected.append((77_000, 40_000, "drift"))
    eventually_has(daemon, container, expected)

    kubelet.resize_in_place(container, cpu_request_m=400, cpu_limit_m=1000, memory_limit=container.asked.memory_limit)
    eventually_reads(kubelet, container, 50_000)
    expected.append((40_000, 50_000, "resize"))
    eventually_has(daemon, container, expected)

    daemon.stop()
    daemon.start()
    assert history_of(daemon, container) == expected, "a restart loses nothing, and repeats nothing"
    koordnri(daemon, "release", "--pod", f"{container.pod.namespace}/{container.pod.name}")
    eventually_has(daemon, container, [*expected, (50_000, 100_000, "release")])
