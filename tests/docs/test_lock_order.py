"""The daemon takes no lock while it holds another, but in the cases of the table "Lock order" of docs/design/threads.md."""

from __future__ import annotations

import gc
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.control import ask
from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.model.topology import Topology
from koordnri.runtime import Runtime
from tests.docs.constructions import ROOT
from tests.docs.recorded_locks import LockRecord, Pair
from tests.host.trees import CPU_FILES, CPUSET_FILES, MEMORY_FILES, HostTree
from tests.kube.watched import write_kubeconfig
from tests.support import messages
from tests.support.waiting import PATIENCE_S, eventually

PAGE = ROOT / "docs/design/threads.md"
POD = "kubepods/burstable/poduid-1"
HALVED = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'


def documented(page: str) -> set[Pair]:
    """The rows of the table below "Lock order"."""
    section = page.partition("\n### Lock order\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", section, re.MULTILINE))


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> LockRecord:
    """Installed before any part of the daemon or the runtime is made."""
    record = LockRecord()
    record.install(monkeypatch)
    return record


@pytest.fixture
def node(tmp_path: Path) -> HostTree:
    tree = HostTree(tmp_path / "host").cpus(Topology.regular(1, 1, 4, 1))
    tree.cgroup_v2(cgroups={"kubepods": (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES)})
    for cgroup in (POD, f"{POD}/sharer", f"{POD}/owner"):
        tree.write(f"sys/fs/cgroup/{cgroup}/cpu.max", "50000 100000\n")
        tree.write(f"sys/fs/cgroup/{cgroup}/cpuset.cpus", "\n")
        tree.write(f"sys/fs/cgroup/{cgroup}/memory.max", "max\n")
    return tree


@contextmanager
def running(tmp_path: Path, tree: HostTree, **config: Any) -> Iterator[Daemon]:
    daemon = Daemon(
        Config(
            nri_socket=str(tmp_path / "nri.sock"),
            state_dir=tmp_path / "state",
            listen=("127.0.0.1", 0),
            host_root=tree.root,
            node_name="n",
            **config,
        ),
        log_fd=2,
    )
    interval, thread = sys.getswitchinterval(), threading.Thread(target=daemon.run)
    thread.start()
    try:
        eventually(lambda: daemon.parts.session.stats.synchronized_at_s, "synchronized")
        yield daemon
    finally:
        daemon.stop()
        thread.join()
        sys.setswitchinterval(interval)
        gc.unfreeze()


def create(runtime: Runtime, name: str, cpus: int, env: tuple[str, ...] = ()) -> None:
    container = messages.container(name, env=env)
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = max(1024 * cpus, 512), 100_000 * cpus or 50_000, 100_000
    runtime.create_container("p1", container)
    runtime.start_container(name)


def run_pod(runtime: Runtime) -> None:
    runtime.run_pod_sandbox(messages.pod("p1", "LSR", f"/{POD}"))


def test_a_life_with_everything_takes_locks_in_the_order_of_the_page(
    record: LockRecord, node: HostTree, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("koordnri-config: {recordRoute: unsolicited}\n")
    with Runtime(tmp_path / "nri.sock") as runtime, running(tmp_path, node, policy_file=policy) as daemon:
        run_pod(runtime)
        create(runtime, "sharer", cpus=0)
        create(runtime, "owner", cpus=1)
        assert daemon.parts.allocator.held, "the owner has exclusive CPUs"
        policy.write_text(HALVED)
        eventually(
            lambda: daemon.parts.recorder.stats.pushes["unsolicited", "recorded"], "recorded through the runtime"
        )
        ask(tmp_path / "state", "/v1/diff", {"policy": HALVED})
        ask(tmp_path / "state", "/v1/release", {"all": True})
        urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/metrics", timeout=PATIENCE_S).close()
        runtime.remove_pod_sandbox("p1")
    assert record.nested <= documented(PAGE.read_text())
    assert {("Calls._lock", "Channel._write_lock"), ("Notebook._saving", "Ledger._lock")} <= record.nested
    assert {"Allocator._lock", "Present._lock", "CgroupWatch._lock", "ClassClock._reading"} <= record.taken


def test_an_event_while_a_snapshot_is_made_takes_locks_in_the_order_of_the_page(
    record: LockRecord, node: HostTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("koordnri.daemon.daemon.CLUSTER_PATIENCE_S", 0.0)
    nobody = write_kubeconfig(tmp_path, "http://127.0.0.1:9")
    with Runtime(tmp_path / "nri.sock") as runtime, running(tmp_path, node, kubeconfig=nobody) as daemon:
        run_pod(runtime)
        create(runtime, "owner", cpus=1, env=("DRA_CPUSET_all=0-3",))
        assert daemon.parts.present.snapshot.node.empty_pools, "a driver has all CPUs"
    assert record.nested <= documented(PAGE.read_text())
    assert ("Present._lock", "EventSender._wake") in record.nested


def test_a_lock_that_is_taken_while_another_is_held_is_seen(record: LockRecord) -> None:
    record.acquired("A._lock")
    record.acquired("B._lock")
    record.released("B._lock")
    record.released("A._lock")
    record.acquired("C._lock")
    assert record.nested == {("A._lock", "B._lock")}


def test_the_table_is_read() -> None:
    page = "\n### Lock order\n\n| first | then | where |\n|---|---|---|\n| `A._a` | `B._b` | x |\n\n## Next\n| `C._c` | `D._d` | y |\n"
    assert documented(page) == {("A._a", "B._b")}
