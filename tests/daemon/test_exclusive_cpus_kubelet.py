"""What the daemon makes of CPUs that a static kubelet pins: share pools without them, from the very request on, also after a restart.

The wired daemon without its threads; its events are handled here one by one. The state file says `static`, and knows of no container.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from tests.host.trees import CPU_FILES, CPUSET_FILES, HostTree
from tests.support import messages

ALL = "0-7"
PARENTS = {"Guaranteed": "/kubepods", "Burstable": "/kubepods/burstable"}


class Node:
    """A node with a daemon, and what the runtime keeps of pods and containers."""

    def __init__(self, root: Path, cpu_manager: str = "static") -> None:
        self.root = root
        tree = HostTree(root / "host").cpus(Topology.regular(1, 1, 8, 1)).cpu_manager(cpu_manager)
        self.host = tree.cgroup_v2(cgroups={"kubepods": (*CPU_FILES, *CPUSET_FILES)}).root
        self.pods: dict[str, api.PodSandbox] = {}
        self.containers: dict[str, api.Container] = {}
        self.daemon = self.started()

    def started(self) -> Daemon:
        """A daemon that knows nothing yet, and believes CPUs by annotations."""
        policy = self.root / "policy.yaml"
        policy.write_text("koordnri-config: {clusterStrategy: {trust: {withoutSpec: believe}}}")
        config = Config(
            state_dir=self.root / "state", host_root=self.host, listen=None, node_name="n", policy_file=policy
        )
        self.daemon = Daemon(config)
        self.daemon.parts.sources.scan()
        return self.daemon

    def synchronize(self) -> None:
        message = api.SynchronizeRequest(pods=self.pods.values(), containers=self.containers.values())
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.daemon.parts.handler.synchronize(seen.pods, seen.containers)
        assert answer.message is not None
        assert answer.settle is not None
        answer.settle()
        for update in answer.message.update:  # type: ignore[attr-defined]  # Message is all that is promised
            apply_update(self.containers[update.container_id.removeprefix("c-")], update.linux.resources)

    def run(
        self, name: str, cpus: str, count: float, kube_qos: str = "Burstable", qos: str = "", assigned: str = ""
    ) -> str:
        """A pod of one container, to which kubelet gives these CPUs; the CPUs that it then has.

        assigned   CPUs by an annotation that is believed
        """
        pod = messages.pod(name, qos, f"{PARENTS[kube_qos]}/poduid-{name}")
        if assigned:
            pod.annotations[RESOURCE_STATUS.key] = json.dumps({"cpuset": assigned})
        container = messages.container(f"c-{name}", name, name="main", state=api.CONTAINER_RUNNING)
        container.linux.resources.cpu.CopyFrom(cpu(cpus, int(count * 1024), int(count * 100_000)))
        self.pods[name], self.containers[name] = pod, container
        (self.host / "sys/fs/cgroup" / pod.linux.cgroup_parent.strip("/") / pod.id).mkdir(
            parents=True
        )  # its sandbox runs
        self._handle("RunPodSandbox", api.RunPodSandboxRequest(pod=pod))
        reply = self._handle("CreateContainer", api.CreateContainerRequest(pod=pod, container=container))
        apply_adjustment(container, reply.adjust, KernelLimits())
        return self.has(name)

    def update(self, name: str, cpus: str) -> str:
        """kubelet's CPU manager updates a container; the CPUs that it then has."""
        container, asked = self.containers[name], api.LinuxResources(cpu=cpu(cpus))
        request = api.UpdateContainerRequest(pod=self.pods[name], container=container, linux_resources=asked)
        reply = self._handle("UpdateContainer", request)
        apply_update(container, asked)
        for update in reply.update:
            apply_update(container, update.linux.resources)
        return self.has(name)

    def remove(self, name: str) -> None:
        del self.containers[name]
        self._handle("RemovePodSandbox", api.RemovePodSandboxRequest(pod=self.pods.pop(name)))

    def has(self, name: str) -> str:
        return str(self.containers[name].linux.resources.cpu.cpus)

    @property
    def pinned(self) -> str:
        return str(self.daemon.parts.present.up_to_date().node.kubelet_cpus)

    @property
    def pool(self) -> list[str]:
        return [pool.cpus for pool in self.daemon.parts.present.up_to_date().node.ls_pools]

    def _handle(self, method: str, request: Any) -> Any:
        answer = self.daemon.parts.handler.handle(method, request.SerializeToString())
        if answer.settle is not None:
            answer.settle()
        return answer.message


def cpu(cpus: str, shares: int = 0, quota: int = 0) -> api.LinuxCPU:
    reported = api.LinuxCPU(cpus=cpus)
    if shares:
        reported.shares.value, reported.quota.value, reported.period.value = shares, quota, 100_000
    return reported


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_from_the_request_on_what_kubelet_pins_is_in_no_pool(node: Node):
    assert node.run("before", ALL, 0.5, qos="LS") == ALL
    assert node.run("owner", "2-3", 2, "Guaranteed") == "2-3"
    assert (node.pinned, node.pool) == ("2-3", ["0-1,4-7"])
    assert node.run("after", "0-1,4-7", 0.5, qos="LS") == "0-1,4-7"
    assert node.run("late", ALL, 0.5, qos="LS") == "0-1,4-7", "kubelet computed that before it pinned the owner"


def test_it_is_everybodys_again_when_the_pod_goes(node: Node):
    node.run("owner", "2-3", 2, "Guaranteed")
    node.remove("owner")
    assert (node.pinned, node.pool) == ("", [])


def test_an_assignment_takes_no_cpus_that_kubelet_pinned_another_pod_to(node: Node):
    node.run("owner", "2-3", 2, "Guaranteed")
    assert node.run("thief", ALL, 0.5, qos="LS", assigned="3-4") == "0-1,4-7"
    assert node.run("beside", ALL, 0.5, qos="LS", assigned="5") == "5"
    node.remove("owner")
    assert node.pinned == ""
    assert node.update("thief", ALL) == "3-4", "they are free now"


def test_those_who_share_have_what_kubelet_says_and_are_followed(node: Node):
    node.run("shared", ALL, 0.5)
    node.run("owner", "2-3", 2, "Guaranteed")
    assert node.update("shared", "0-1,4-7") == "0-1,4-7"
    node.run("second", "0-1,4-7", 1.5, "Guaranteed")
    assert node.has("second") == "0-1,4-7"
    assert node.pinned == "2-3"


def test_whom_kubelet_moves_is_followed_at_once(node: Node):
    node.run("ls", ALL, 0.5, qos="LS")
    node.run("owner", "2-3", 2, "Guaranteed")
    assert node.update("owner", "6-7") == "6-7"
    assert (node.pinned, node.pool) == ("6-7", ["0-5"])
    assert node.update("ls", "0-5") == "0-5"


def test_where_kubelet_pins_nobody_a_cpuset_in_a_request_takes_nothing_from_the_others(tmp_path: Path):
    node = Node(tmp_path, cpu_manager="none")
    node.run("owner", "2-3", 2, "Guaranteed")
    node.update("owner", "2-3")
    node.started()
    node.synchronize()
    assert (node.pinned, node.pool) == ("", [])


def test_a_daemon_that_starts_again_finds_the_same_map(node: Node):
    node.run("ls", ALL, 0.5, qos="LS")
    node.run("owner", "2-3", 2, "Guaranteed")
    node.run("crashed", "5", 1, "Guaranteed")
    node.run("ended", "6", 1, "Guaranteed")
    node.update("ls", "0-1,4,6-7")
    before = node.pinned, node.pool
    for name in ("crashed", "ended"):
        node.containers[name].state = api.CONTAINER_STOPPED

    node.started()
    node.synchronize()

    assert (node.pinned, node.pool) == before == ("2-3,5", ["0-1,4,6-7"])


def test_what_kubelet_did_while_nobody_listened_is_found_in_what_is_stored(node: Node):
    node.run("ls", ALL, 0.5, qos="LS")
    node.run("owner", "2-3", 2, "Guaranteed")
    apply_update(node.containers["owner"], api.LinuxResources(cpu=cpu("6-7")))

    node.started()
    node.synchronize()

    assert (node.pinned, node.pool) == ("6-7", ["0-5"])
