"""Memory runs short on cgroup v2: the daemon has the right pod evicted, by a real API server that runs outside of the virtual machine.

It runs in the machine only, where nothing else takes memory: what brings the node over the threshold is the test's own container.
tests/kube/test_real_daemon.py has the same on cgroup v1, with a threshold that any node is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import lab
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.kube.api_server import DAEMON, ApiServer
from tests.kube.budgets import budget
from tests.kube.crowd import NODE, Crowd
from tests.kube.following import FollowingDaemon
from tests.kube.rights import Deployed
from tests.support.waiting import eventually

FILL_PERCENT = 20
"""percent of the node's memory that one container takes"""
ROOM_PERCENT = 8
"""from what the node uses before that to the threshold: more than what is used by chance, and eviction of the container brings it below"""
NAMESPACE = "shop"
EVICTION = {"WouldEvict", "Evicted", "EvictionRefused"}
TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def server() -> ApiServer:
    """The API server of the host, with a Node for the daemon and a namespace for pods."""
    assert lab.API_SERVER is not None, (
        "KOORDNRI_E2E_APISERVER is not set: tests/e2e_vm/test_vm.py gives it to the machine of this test"
    )
    real = ApiServer((lab.API_SERVER / "url").read_text(), lab.API_SERVER / "ca.crt")
    real.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    real.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    return real


@pytest.fixture(scope="module")
def deployed(server: ApiServer) -> Iterator[Deployed]:
    """The daemon's rights, that to evict among them, and a policy that evicts nobody."""
    it = Deployed(server)
    it.write_policy({})
    with it.extended("eviction"):
        yield it


@pytest.fixture(scope="module")
def daemon(
    runtime: Containerd, server: ApiServer, deployed: Deployed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Ready, with no more rights than deploy/ gives."""
    work = tmp_path_factory.mktemp("daemon")
    it = FollowingDaemon(runtime.nri_socket, work, deployed.policy, server.kubeconfig(work, DAEMON))
    try:
        it.start()
        yield it
    finally:
        it.stop()


def memory() -> tuple[int, float]:
    """MiB that the node has, and percent of it that are not available."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {words[0]: int(words[1]) for words in lines}
    return kib["MemTotal:"] >> 10, 100 - 100 * kib["MemAvailable:"] / kib["MemTotal:"]


def evicting(mode: str, percent: int) -> dict[str, str]:
    """A policy that evicts BE pods, one after the other, while the node uses so many percent of its memory."""
    threshold = {"enable": True, "memoryEvictThresholdPercent": percent}
    evict = {"mode": mode, "perMinute": 60, "burst": 1}
    return {
        "resource-threshold-config": json.dumps({"clusterStrategy": threshold}),
        "koordnri-config": json.dumps({"clusterStrategy": {"controllers": {"evict": evict}}}),
    }


def wait(check: Callable[[], Any], what: str) -> None:
    eventually(check, what, TIMEOUT_S)


def disruption(server: ApiServer, name: str) -> list[str]:
    """The reasons by which the API server calls a pod a target of disruption."""
    pod = server.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")
    return [one["reason"] for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget"]


def test_a_container_that_fills_memory_is_evicted_and_neither_a_budgets_pod_nor_a_small_one(
    kubelet: Kubelet, server: ApiServer, deployed: Deployed, daemon: Daemon
) -> None:
    crowd = Crowd(server, kubelet, NAMESPACE)
    for name, qos_class, priority in (("service", "LS", 100), ("protected", "BE", 200), ("small", "BE", 300)):
        crowd.run(name, qos_class, priority)
    budget(server, NAMESPACE, "protected", allowed=0)

    def sent() -> set[tuple[str, str]]:
        return {(name, reason) for name, reason in crowd.events() if reason in EVICTION}

    total_mib, used_percent = memory()
    threshold = int(used_percent) + ROOM_PERCENT
    before = daemon.metric("koordnri_policy_accepted_total")
    deployed.write_policy(evicting("observe", threshold))
    wait(lambda: daemon.metric("koordnri_policy_accepted_total") > before, "the policy to be taken")
    assert sent() == set()

    # dd has read all into its memory, and waits for a reader of the pipe.
    fill = f"dd if=/dev/zero bs={total_mib * FILL_PERCENT // 100}M count=1 | sleep 3600"
    batch = crowd.run("batch", "BE", 300, command=("/bin/sh", "-c", fill))
    wait(lambda: memory()[1] > threshold, f"memory to be over {threshold} %")
    wait(lambda: ("batch", "WouldEvict") in sent(), "it to be reported")
    assert sent() == {("protected", "WouldEvict"), ("batch", "WouldEvict")}
    assert crowd.leaving() == set()

    deployed.write_policy(evicting("enforce", threshold))
    wait(lambda: ("protected", "EvictionRefused") in sent(), "the budget's pod to be refused")
    wait(lambda: ("batch", "Evicted") in sent(), "the next one to be evicted")
    assert crowd.leaving() == {"batch"}
    assert {name: disruption(server, name) for name in ("batch", "protected", "small")} == {
        "batch": ["EvictionByEvictionAPI"],
        "protected": [],
        "small": [],
    }

    # As kubelet does now.
    kubelet.end_pod(batch)
    server.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/batch")
    wait(lambda: memory()[1] < threshold, f"memory to be below {threshold} %")
    assert daemon.metric("koordnri_evictions_total", feature="BEMemoryEvict", outcome="evicted") == 1
    assert not {name for name, _ in sent()} & {"small", "service"}
