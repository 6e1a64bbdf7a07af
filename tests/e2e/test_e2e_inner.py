"""crun under systemd on v2: a container's limits stand on its scope and on the level below, which has its processes. They hold on both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import RATIO_2, UNLIMITED
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
ASKED_US, HALVED_US = 80_000, 40_000


def levels(kubelet: Kubelet, container: Container) -> tuple[Path, Path]:
    """The scope, and the directory that has the processes."""
    pid = kubelet.pid(container)
    scope, inner = kubelet.cgroups.of_container(pid)[""], kubelet.cgroups.of(pid)[""]
    assert inner.parent == scope, "crun keeps the processes below the scope"
    return scope, inner


def on_both(kubelet: Kubelet, container: Container, field: str) -> list[int | str]:
    return [kubelet.cgroups.read({"": level}, field) for level in levels(kubelet, container)]


def test_a_policy_and_its_end_reach_both_levels(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    container = pods.normalised(kubelet)
    assert on_both(kubelet, container, "cpu.quota") == [ASKED_US] * 2
    for policy, us in ((RATIO_2, HALVED_US), ("{}\n", ASKED_US)):
        daemon.policy_file.write_text(policy)
        eventually(lambda us=us: on_both(kubelet, container, "cpu.quota") == [us] * 2, f"{us} on both levels")  # type: ignore[misc]  # mypy knows no defaults of lambdas


def test_a_cpuset_that_the_pods_cgroup_does_not_have_is_reported(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    """The kernel accepts it, and goes by the parent's."""
    daemon = new_daemon()
    daemon.start()
    container = pods.pinned(kubelet)
    pod = kubelet.cgroups.of_pod(kubelet.pid(container))[""]
    (pod / "cpuset.cpus").write_text("0")
    reported = eventually(
        lambda: [line for line in daemon.log.read_text().splitlines() if "in effect" in line], "a warning"
    )
    assert pod.name in json.loads(reported[0])["error"]
    (pod / "cpuset.cpus").write_text("0-7")


def test_a_pinned_container_is_throttled_on_neither_level(kubelet: Kubelet, daemon: Daemon) -> None:
    """crun up to 1.21 makes 1 % of a CPU of the quota -1, on the scope."""
    pinned = pods.pinned(kubelet)
    eventually(lambda: on_both(kubelet, pinned, "cpu.quota") == [UNLIMITED] * 2, "no quota on both levels", 5)
    assert on_both(kubelet, pinned, "cpu.cpus") == [pods.PINNED_CPUS] * 2


def test_what_is_written_on_one_level_is_healed_there(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.batch(kubelet)
    eventually(lambda: on_both(kubelet, container, "cpu.quota") == [pods.BATCH_QUOTA_US] * 2, "the batch quota")
    for level in levels(kubelet, container):
        (level / "cpu.max").write_text("3000 100000")
        eventually(lambda: on_both(kubelet, container, "cpu.quota") == [pods.BATCH_QUOTA_US] * 2, "it to be healed")
