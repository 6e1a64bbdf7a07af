"""Upgrade and downgrade with pods running: what the version before left behind, and what it finds of ours.

tests/daemon/former/ was recorded once, from the last build before the state files got their present names (288b6f0^), under HALVED:

    runtime.json     pods and containers as the runtime lists them, with the annotations of that build. c1 was resized in place after its
                     creation, c2 has exclusive CPUs
    baselines.json   its state directory; now notes.json
    written.json     its state directory; now originals.json
    restarted/       the same two, after that build was started again and stopped

Whoever changes a form records it again, from the build before, and keeps reading both.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from koordnri.model.cpuset import CPUSet
from koordnri.model.resources import BASELINE_KEY
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from tests.daemon.running import GOOD, HALVED, FakeHost, create, rewrite, run_pod
from tests.support import messages
from tests.support.waiting import eventually

FORMER = Path(__file__).with_name("former")
NAMES = {"baselines.json": "notes.json", "written.json": "originals.json"}
"""the former's file → ours"""
DB = "kubepods/pod-uid-2"
"""cgroup of the pod with exclusive CPUs"""


def recorded(name: str) -> Any:
    return json.loads((FORMER / name).read_text())


def set_cgroup(host: FakeHost, path: str, cpu_max: str, cpus: str) -> None:
    host.tree.write(f"sys/fs/cgroup/{path}/cpu.max", f"{cpu_max} 100000\n")
    host.tree.write(f"sys/fs/cgroup/{path}/cpuset.cpus", f"{cpus}\n")
    host.tree.write(f"sys/fs/cgroup/{path}/memory.max", "max\n")


@pytest.fixture
def left_behind(runtime: Runtime, host: FakeHost, policy: Path, tmp_path: Path) -> Path:
    """The node as the former daemon left it; the state directory."""
    state = tmp_path / "state"
    state.mkdir()
    for name in NAMES:
        shutil.copy(FORMER / name, state)
    node = recorded("runtime.json")
    runtime.preload(
        [ParseDict(pod, api.PodSandbox()) for pod in node["pods"]],
        [ParseDict(container, api.Container()) for container in node["containers"]],
    )
    set_cgroup(host, "kubepods/burstable/poduid-1/c1", "25000", "0,3")
    set_cgroup(host, "kubepods/burstable/poduid-1", "25000", "")
    set_cgroup(host, f"{DB}/c2", "max", "1-2")
    set_cgroup(host, DB, "max", "")
    policy.write_text(HALVED)
    return state


def create_whole(runtime: Runtime, pod_id: str, container_id: str, cores: int) -> None:
    """A pod of one container with exclusive CPUs."""
    runtime.run_pod_sandbox(messages.pod(pod_id, qos="LSR", parent=f"/kubepods/pod-u{pod_id}"))
    container = messages.container(container_id, pod_id, name="main")
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = 1024 * cores, 100_000 * cores, 100_000
    runtime.create_container(pod_id, container)


def test_an_upgrade_changes_nothing_that_runs_and_can_give_everything_back(start, host, policy, left_behind):
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    eventually(lambda: running.daemon.parts.reconciler.stats.passes["change"], "a pass")
    assert host.quotas() == ("25000", "25000"), "nothing is halved twice"
    ledger = running.daemon.parts.ledger
    assert ledger.noted_baseline("c1").cpu_shares == 1000
    exclusive = running.daemon.parts.handler.snapshot.node.exclusive_cpus
    assert [cpus for of_pod in exclusive.values() for cpus in of_pod.values()] == [CPUSet.parse("1-2")]
    assert (host.tree.root / f"sys/fs/cgroup/{DB}/c2/cpuset.cpus").read_text() == "1-2\n"
    rewrite(policy, GOOD)
    host.wait_quotas("50000", "50000")
    assert not running.logged("state_file_bad")


def test_a_downgrade_finds_the_state_files_in_its_own_form(start, host, policy, left_behind):
    """Under their former names, which CHANGELOG.md says to give them back."""
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    for former, ours in NAMES.items():
        wanted, path = recorded(f"restarted/{former}"), left_behind / ours
        eventually(lambda path=path, wanted=wanted: path.exists() and json.loads(path.read_text()) == wanted, str(path))
    assert running.stop() == 0
    for former, ours in NAMES.items():
        assert json.loads((left_behind / ours).read_text()) == recorded(f"restarted/{former}")


def test_a_downgrade_finds_the_annotation_of_a_container_in_its_own_form(start, runtime, host, policy):
    """The same containers, created by the present daemon."""
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    # The first one has CPU 0 while the second one's are chosen.
    create_whole(runtime, "p0", "c0", cores=1)
    create_whole(runtime, "p2", "c2", cores=2)
    for container in recorded("runtime.json")["containers"]:
        ours = runtime.containers[container["id"]].spec.annotations[BASELINE_KEY]
        assert ours == container["annotations"][BASELINE_KEY]
