"""The history of a whole daemon: who got exclusive CPUs, and what that did to the neighbours."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.model.topology import Topology
from koordnri.runtime import Runtime
from koordnri.state.history_line import HistoryLine
from tests.host.trees import CPU_FILES, CPUSET_FILES, MEMORY_FILES, HostTree
from tests.support import messages
from tests.support.waiting import eventually

NONE_ALLOCATED = "koordnri-config: {recordRoute: none, hooks: {cpuset: {allocate: false}}}\n"
ALLOCATED = "koordnri-config: {recordRoute: none}\n"


class Node:
    """A daemon over a tree of files, with pods of one container each. The files of a cgroup stand for its kernel."""

    def __init__(self, directory: Path) -> None:
        self.tree = HostTree(directory / "host").cpus(Topology.regular(1, 1, 8, 1))
        self.tree.cgroup_v2(cgroups={"kubepods": (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES)})
        self.policy = directory / "policy.yaml"
        self.policy.write_text(NONE_ALLOCATED)
        self.runtime = Runtime(directory / "nri.sock")
        config = Config(
            nri_socket=str(directory / "nri.sock"),
            policy_file=self.policy,
            state_dir=directory / "state",
            listen=None,
            host_root=self.tree.root,
            node_name="n",
        )
        self.daemon = Daemon(config)

    def run(self, name: str, qos: str, cpus: int) -> None:
        parent = f"kubepods/burstable/pod{name}"
        for cgroup in (parent, f"{parent}/{name}-main"):
            self.tree.write(f"sys/fs/cgroup/{cgroup}/cpu.max", "50000 100000\n")
            self.tree.write(f"sys/fs/cgroup/{cgroup}/cpuset.cpus", "0-7\n")
        self.runtime.run_pod_sandbox(messages.pod(name, qos, f"/{parent}", name=name))
        container = messages.container(f"{name}-main", name="main", pod_sandbox_id=name)
        cpu = container.linux.resources.cpu
        cpu.shares.value, cpu.quota.value, cpu.period.value = 1024 * cpus or 512, 100_000 * cpus or 50_000, 100_000
        self.runtime.create_container(name, container)
        self.runtime.start_container(f"{name}-main")

    def changes(self, pod: str) -> list[tuple[str, str, str, str]]:
        """Of the container's cpuset: old, new, cause, detail."""
        history = self.daemon.parts.history
        assert history is not None
        found: list[HistoryLine] = [
            one for one in history.of_pod("shop", pod) if one.field == "cpu.cpus" and one.container
        ]
        return [(one.old, one.new, one.cause, one.detail) for one in found]


@contextmanager
def running(directory: Path) -> Iterator[Node]:
    node = Node(directory)
    interval, thread = sys.getswitchinterval(), threading.Thread(target=node.daemon.run)
    with node.runtime:
        thread.start()
        try:
            eventually(lambda: node.daemon.parts.session.stats.synchronized_at_s, "synchronized")
            yield node
        finally:
            node.daemon.stop()
            thread.join()
            sys.setswitchinterval(interval)
            gc.unfreeze()


def test_a_promotion_is_reported_from_the_policy_that_allowed_it_and_the_neighbour_names_why_it_moved(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as node:
        node.run("sharer", "LS", 0)
        node.run("owner", "LSR", 2)
        node.policy.write_text(ALLOCATED)
        eventually(lambda: any(change[2] == "promotion" for change in node.changes("owner")), "the promotion")
        assert node.changes("owner")[-1] == ("2-7", "0-1", "promotion", "exclusive CPUs none → 0-1")
        assert [change[:3] for change in node.changes("sharer")] == [("0-7", "2-7", "policy")]
        node.runtime.remove_pod_sandbox("owner")
        eventually(lambda: len(node.changes("sharer")) > 1, "the neighbour to be moved back")
        assert node.changes("sharer")[1:] == [("2-7", "0-7", "neighbour", "share pool 2-7 → all CPUs")]


def test_a_new_neighbour_with_exclusive_cpus_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        node.policy.write_text(ALLOCATED)
        eventually(lambda: node.daemon.parts.present.snapshot.policy.cpuset.allocate, "the policy")
        node.run("sharer", "LS", 0)
        node.run("owner", "LSR", 2)
        eventually(lambda: node.changes("sharer"), "the neighbour to be moved")
        assert node.changes("sharer") == [("0-7", "2-7", "neighbour", "shop/owner: exclusive CPUs none → 0-1")]
        assert {change[2] for change in node.changes("owner")} == {"creation"}
