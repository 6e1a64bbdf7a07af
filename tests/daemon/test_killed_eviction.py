"""Eviction in a daemon that is killed: before the API server has answered, and after it. The daemon is a process, killed by SIGKILL.

The API server is a fake one over real HTTP, the runtime is the embedded one, and files stand for the kernel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kmock
import pytest

from tests.daemon.kubelet_node import KubeletNode
from tests.e2e.daemon import Daemon
from tests.kube.fake_api import Answer, Json, hanging, listing, whole
from tests.kube.fake_cluster import PODS, Cluster
from tests.kube.watched import write_kubeconfig
from tests.support.waiting import eventually

SHORT = """
resource-threshold-config: {clusterStrategy: {enable: true, memoryEvictThresholdPercent: 70}}
koordnri-config: {clusterStrategy: {controllers: {evict: {mode: enforce, perMinute: 60, burst: 100}}}}
"""
"""The node uses 90 % of 16 GiB. To get to 68 %, one pod of 4 GiB suffices."""
USED_BYTES = 4 << 30
OVER_TICKS = 6
"""Longer than the cool time of memory, so that a daemon that wanted to evict would have done it"""
MADE: Answer = whole(201, b"{}", Content_Type="application/json")
SILENT: Answer = hanging()


class Node:
    """Two BE pods, of which p0 goes first, and an API server whose answers to evictions the test chooses."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        self.to_evictions = SILENT
        cluster.answer(lambda handler: handler[_posts("/eviction")], lambda: self.to_evictions)
        cluster.answer(lambda handler: handler[_posts("/events")], MADE)
        self.kubelet = KubeletNode(directory, SHORT)
        self.kubelet.runtime.start()
        proc = self.kubelet.root / "proc"
        proc.joinpath("stat").write_text("cpu  1 0 0 0 0 0 0 0 0 0\n")
        proc.joinpath("meminfo").write_text(f"MemTotal: {16 << 20} kB\nMemAvailable: {(16 << 20) // 10} kB\n")
        for number in (0, 1):
            self.kubelet.birth(number, "BE", 100_000)
            pod = self.kubelet.cgroups / self.kubelet.pod_directory(number)
            pod.joinpath("memory.current").write_text(f"{USED_BYTES - number}\n")
        self.list_pods()
        arguments = [f"--host-root={self.kubelet.root}", "--node-name=n1"]
        arguments.append(f"--kubeconfig={write_kubeconfig(directory, cluster.url)}")
        self.daemon = Daemon(self.kubelet.socket, directory, policy=SHORT, arguments=arguments)

    def list_pods(self, leaving: str = "", gone: str = "") -> None:
        """What the API server lists from now on."""
        names = [name for name in ("p0", "p1") if name != gone]
        self.cluster.lists[PODS] = listing("Pod", "1", *(_pod(name, leaving=name == leaving) for name in names))

    def delete(self, name: str) -> None:
        """It is gone: kubelet has ended it, and the API server has removed it."""
        self.kubelet.end(int(name[1:]))
        self.list_pods(gone=name)
        self.cluster.send(PODS, "DELETED", _pod(name, leaving=True))

    def asked(self) -> list[str]:
        """The pods whose eviction was requested."""
        return [request.path.split("/")[-2] for request in self._posted("/eviction")]

    def reported(self) -> list[tuple[str, str]]:
        """Pod and reason of each Event."""
        events = [json.loads(request.body) for request in self._posted("/events")]
        return [(event["involvedObject"]["name"], event["reason"]) for event in events]

    def logged(self) -> list[tuple[str, str]]:
        """Event and pod of each line about an eviction."""
        lines = [json.loads(text) for text in self.daemon.log.read_text().splitlines() if '"BEMemoryEvict"' in text]
        return [(one["event"], one["pod"]) for one in lines]

    def wait_asked(self, *names: str) -> None:
        eventually(lambda: self.asked() == list(names), f"requests to evict {names}")

    def wait_ticks(self) -> None:
        eventually(
            lambda: self.daemon.metric("koordnri_controller_ticks_total") >= OVER_TICKS, f"{OVER_TICKS} ticks", 60
        )

    def _posted(self, end: str) -> list[Any]:
        return [one for one in list(self.cluster.requests.items) if one.method == "POST" and one.path.endswith(end)]

    def close(self) -> None:
        self.daemon.stop()
        self.kubelet.runtime.close()


def _posts(end: str) -> Any:
    def asks(request: kmock.Request) -> bool:
        return request.method == "POST" and request.url.path.endswith(end)

    return asks


def _pod(name: str, *, leaving: bool) -> Json:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name[1:]}", "resourceVersion": "1"}
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    labels = {"koordinator.sh/qosClass": "BE"}
    spec = {"nodeName": "n1", "priority": 0, "containers": [{"name": "main"}]}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {**metadata, **deleted, "labels": labels}, "spec": spec}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Cluster() as cluster:
        it = Node(tmp_path, cluster)
        yield it
        it.close()


def test_killed_before_or_after_the_answer_no_pod_is_evicted_twice_and_none_is_forgotten(node: Node) -> None:
    node.daemon.start()
    node.wait_asked("p0")
    node.daemon.kill()

    # The API server has not done it, so it is asked once more.
    node.to_evictions = MADE
    node.daemon.start()
    node.wait_asked("p0", "p0")
    eventually(lambda: ("p0", "Evicted") in node.reported(), "its owner to have an Event")
    node.daemon.kill()

    # It has done it: the pod counts as leaving, so neither it nor another one goes.
    node.list_pods(leaving="p0")
    node.to_evictions = SILENT
    node.daemon.start()
    node.wait_ticks()
    assert node.asked() == ["p0", "p0"]
    node.delete("p0")
    node.wait_asked("p0", "p0", "p1")
    node.daemon.kill()

    # It has done it, and nobody was left to read the answer: the log has who was chosen and why.
    node.list_pods(leaving="p1", gone="p0")
    node.daemon.start()
    node.wait_ticks()
    assert node.asked() == ["p0", "p0", "p1"]
    assert node.reported().count(("p0", "Evicted")) == 1
    assert node.logged() == [
        ("evicting", "shop/p0"),
        ("evicting", "shop/p0"),
        ("evicted", "shop/p0"),
        ("evicting", "shop/p1"),
    ]
