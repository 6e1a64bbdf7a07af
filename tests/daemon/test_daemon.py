"""The daemon as a whole, against the embedded runtime over a real socket: readiness, policies, state, and how it ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.pod import SOURCE_KEY
from koordnri.runtime import CRIError, KernelLimits, Runtime
from koordnri.session.identity import Identity
from koordnri.session.runtime_info import MOST_BYTES
from koordnri.state.lock import NodeLock
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.daemon.running import BAD, GOOD, HALVED, MISTAKE, NODE, PINNED, POD_CGROUP, Running, create, rewrite, run_pod
from tests.session.scripted_runtime import Link
from tests.support.waiting import PATIENCE_S, eventually

# -- readiness --------------------------------------------------------------------------------------------------------


def test_it_is_ready_once_registered_and_synchronized_and_decides_with_the_installed_hooks(start, runtime):
    running = start()
    running.wait_ready()
    run_pod(runtime, PINNED)
    cpu = create(runtime)
    assert (cpu.cpus, cpu.quota.value) == ("2-3", -1)
    assert runtime.plugins[0].full_name == "10-koordnri"
    assert running.stop() == 0
    assert running.wait_logged("started")["hooks"] == [
        "cpuset",
        "cfs_quota",
        "memory",
        "rdt",
        "blkio",
        "network",
        "gpu",
        "injection",
    ]


def test_it_waits_for_a_runtime_that_is_not_there_and_says_so(start, tmp_path):
    running = start()
    running.wait_not_ready("not ready: runtime: cannot connect to", str(tmp_path / "nri.sock"), "No such file")
    assert running.daemon.parts.session.state == "disconnected"
    with Runtime(tmp_path / "nri.sock") as runtime:
        running.wait_ready()
        # The runtime counts when it has read the answer that made us ready.
        eventually(lambda: runtime.registrations == 1, "the registration to be counted")
    running.wait_not_ready("runtime:")
    with Runtime(tmp_path / "nri.sock"):
        running.wait_ready()
    assert running.daemon.parts.session.stats.registrations == 2


def test_it_stops_with_or_without_a_runtime(start, runtime):
    running = start(nri_socket="/nonexistent/nri.sock", listen=None)
    assert running.daemon.port is None
    assert running.stop() == 0
    assert running.wait_logged("stopped")
    assert runtime.plugins == ()


def test_cri_o_over_crun_takes_what_lifts_a_limit(start, tmp_path, policy):
    """CRI-O fails kubelet's update over a memory limit of -1, and crun passes over a quota of -1 without its period."""
    kernel = KernelLimits(crun=True)
    crio = Runtime(tmp_path / "nri.sock", Version(0, 11, 0), "cri-o", "1.36.3", kernel=kernel)
    limits = {"limits": {BATCH_CPU: 250, BATCH_MEMORY: 96 << 20}}
    batch = {EXTENDED_RESOURCE_SPEC.key: json.dumps({"containers": {"main": limits}}), SOURCE_KEY: "file"}
    with crio as runtime:
        running = start(policy_file=policy)
        running.wait_ready()
        run_pod(runtime, batch, {"koordinator.sh/qosClass": "BE"})
        create(runtime, quota=-1)
        runtime.start_container("c1")
        state = runtime.containers["c1"]
        assert [(level.cpu.quota.value, level.memory.limit.value) for level in state.levels] == [(25_000, 96 << 20)] * 2
        rewrite(policy, "koordnri-config: {hooks: {memory: {mode: 'off'}, cfs_quota: {mode: 'off'}}}\n")
        eventually(lambda: running.daemon.parts.handler.snapshot.policy.hook_mode("memory") == "off", "the policy")

        runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(shares={"value": 4})))

        assert [(level.cpu.quota.value, level.memory.limit.value) for level in state.levels] == [(-1, MOST_BYTES)] * 2


# -- policy -----------------------------------------------------------------------------------------------------------


# -- node -------------------------------------------------------------------------------------------------------------


# -- state ------------------------------------------------------------------------------------------------------------


def test_noted_baselines_outlive_the_process(start, runtime, tmp_path):
    first = start()
    first.wait_ready()
    run_pod(runtime, PINNED)
    create(runtime)
    asked = api.LinuxResources(cpu=api.LinuxCPU(quota={"value": 80_000}))
    runtime.update_container("c1", asked)
    state = tmp_path / "state" / "notes.json"
    eventually(lambda: state.exists() and "80000" in state.read_text(), "the state")
    assert first.stop() == 0
    second = start()
    second.wait_ready()
    noted = second.daemon.parts.ledger.noted_baseline("c1")
    assert noted is not None
    assert noted.cpu_quota == 80_000
    assert runtime.containers["c1"].spec.linux.resources.cpu.quota.value == -1
    runtime.remove_pod_sandbox("p1")
    eventually(lambda: state.read_text() == "{}", "a forgotten container")


def test_what_moved_last_is_saved_at_the_end(start, runtime, tmp_path):
    running = start()
    running.wait_ready()
    run_pod(runtime, PINNED)
    create(runtime)
    runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(quota={"value": 80_000})))
    eventually(lambda: running.daemon.parts.ledger.noted_baseline("c1"), "the ledger")
    assert running.stop() == 0
    assert "80000" in (tmp_path / "state" / "notes.json").read_text()


def test_a_broken_state_file_is_reported_and_does_not_keep_it_from_starting(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "notes.json").write_bytes(b"\xff{")
    running = start()
    running.wait_ready()
    assert "notes.json.bad" in running.wait_logged("state_file_bad")["error"]


def test_a_state_that_cannot_be_saved_is_reported_and_saved_once_it_can(start, runtime, tmp_path):
    running = start()
    running.wait_ready()
    obstacle = tmp_path / "state" / "notes.json.new"
    obstacle.mkdir()
    run_pod(runtime, PINNED)
    create(runtime)
    runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(quota={"value": 80_000})))
    assert str(tmp_path / "state") in running.wait_logged("state_not_saved")["path"]
    obstacle.rmdir()
    eventually(lambda: (tmp_path / "state" / "notes.json").exists(), "the state")


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_an_error_and_registers_nothing(tmp_path, runtime):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = Config(nri_socket=str(tmp_path / "nri.sock"), state_dir=tmp_path / "state", listen=("127.0.0.1", port))
        with open(tmp_path / "log", "wb") as log, pytest.raises(ConfigError, match="in use"):
            Daemon(config, Given(NODE), log_fd=log.fileno()).run()
    assert runtime.registrations == 0
    assert NodeLock(tmp_path / "state").try_acquire(), "the node's lock is free for another one"


class Fatal(BaseException):
    """What is no Exception, and so is not contained."""


def test_a_session_whose_thread_dies_ends_the_daemon_with_its_exception(start, runtime, tmp_path):
    def listener(*_: Any) -> None:
        raise Fatal("the end")

    running = start(listener=listener)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    assert running.ended() is None
    assert isinstance(running.failure, Fatal)
    assert running.logged("stopped")
    assert NodeLock(tmp_path / "state").try_acquire(), "whoever restarts it finds the lock free"


def test_a_container_that_is_refused_is_reported_with_the_reason(start, runtime, policy):
    policy.write_text("koordnri-config: {hooks: {cpuset: {failurePolicy: fail}}}\n")
    start(policy_file=policy).wait_ready()
    run_pod(runtime, {RESOURCE_STATUS.key: "{"})
    with pytest.raises(CRIError, match=r"cpuset could not decide: annotation .*failurePolicy: fail"):
        create(runtime)


def test_decisions_are_heard_of(start, runtime):
    heard: list[tuple[str, str, str]] = []
    start(listener=lambda pod, container, event, decision: heard.append((pod.name, container.name, event))).wait_ready()
    run_pod(runtime, PINNED)
    create(runtime)
    eventually(lambda: heard, "the decision")
    assert heard == [("web", "main", "create")]


# -- launched by the runtime ------------------------------------------------------------------------------------------


@pytest.fixture
def launched(start: Callable[..., Running]) -> Iterator[tuple[Running, Link]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    link = Link(ours)
    yield start(identity=Identity("koordnri", "10", theirs.detach())), link
    link.close()


def test_its_policy_comes_in_configure_and_it_ends_with_the_connection(launched):
    running, link = launched
    link.answer_registration()
    link.configure(config=GOOD, runtime_name="containerd", runtime_version="v2.3.0")
    link.synchronize()
    running.wait_ready()
    policy = running.daemon.parts.handler.snapshot.policy
    assert policy.qos.be.memory.min_limit_percent == 20
    assert "runtime" in policy.source
    link.close()
    assert running.ended() == 0


def test_a_bad_policy_in_configure_costs_readiness_only(launched):
    running, link = launched
    link.answer_registration()
    answer = link.configure(config=BAD, runtime_name="containerd", runtime_version="v2.3.0")
    assert answer.events
    link.synchronize()
    running.wait_not_ready("policy:", MISTAKE)


# -- running containers follow ----------------------------------------------------------------------------------------


def test_a_policy_change_reaches_the_cgroups_of_what_runs_and_switching_it_off_takes_it_back(
    start, runtime, policy, host, tmp_path
):
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    rewrite(policy, HALVED)
    host.wait_quotas("25000", "25000")
    state = tmp_path / "state" / "originals.json"
    wanted = {"p1": {"cpu.quota": 50_000}, "c1": {"cpu.quota": 50_000}}
    eventually(lambda: state.exists() and json.loads(state.read_text()) == wanted, "the state")
    rewrite(policy, GOOD)
    host.wait_quotas("50000", "50000")
    eventually(lambda: state.read_text() == "{}", "an empty state")
    assert ("UpdateContainer", "ok") not in running.daemon.parts.session.stats.events
    assert running.stop() == 0
    assert not running.logged("apply_failed")


def test_what_one_process_wrote_the_next_one_takes_back(start, runtime, policy, host, tmp_path):
    policy.write_text(HALVED)
    first = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    first.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    first.daemon.parts.requests.trigger()
    host.wait_quotas("25000", "25000")
    assert first.stop() == 0
    assert json.loads((tmp_path / "state" / "originals.json").read_text())["p1"] == {"cpu.quota": 50_000}

    second = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    second.wait_ready()
    eventually(lambda: second.daemon.parts.reconciler.stats.passes["change"], "a pass")
    assert host.quotas() == ("25000", "25000"), "nothing is halved twice"
    rewrite(policy, GOOD)
    host.wait_quotas("50000", "50000")


def test_an_upgrade_from_files_under_former_names_loses_nothing(start, runtime, policy, host, tmp_path):
    """A container that was resized, and halved since its creation: its note and its original are in files alone."""
    first = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    first.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(shares={"value": 1000})))
    rewrite(policy, HALVED)
    host.wait_quotas("25000", "25000")
    baseline = first.daemon.parts.ledger.noted_baseline("c1")
    assert first.stop() == 0
    state = tmp_path / "state"
    (state / "notes.json").rename(state / "baselines.json")
    (state / "originals.json").rename(state / "written.json")

    second = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    second.wait_ready()
    assert second.daemon.parts.ledger.noted_baseline("c1") == baseline
    assert baseline.cpu_shares == 1000
    rewrite(policy, GOOD)
    host.wait_quotas("50000", "50000")
    assert not (state / "baselines.json").exists()
    assert not (state / "written.json").exists()


def test_what_was_written_until_the_end_is_known_to_the_next_process(start, runtime, policy, host, tmp_path):
    """The pass that is under way when it is asked to stop is part of its life."""
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    requests, machine = running.daemon.parts.requests, running.daemon.parts.machine
    stopping, entered = threading.Event(), threading.Event()
    stop, world = requests.stop, machine.world

    def asked_to_stop() -> None:
        stop()
        stopping.set()

    def held() -> Any:
        entered.set()
        assert stopping.wait(PATIENCE_S)
        return world()

    requests.stop, machine.world = asked_to_stop, held
    requests.trigger("p1")
    assert entered.wait(PATIENCE_S)
    rewrite(policy, HALVED)
    running.wait_logged("policy_accepted", 2)
    assert running.stop() == 0
    assert host.quotas() == ("25000", "25000")
    assert json.loads((tmp_path / "state" / "originals.json").read_text()).keys() == {"p1", "c1"}


def test_a_note_of_what_was_written_that_cannot_be_read_is_reported_and_kept_aside(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "originals.json").write_text('{"p1": 5}')
    running = start()
    running.wait_ready()
    assert "originals.json.bad" in running.wait_logged("state_file_bad")["error"]
    assert (tmp_path / "state" / "originals.json.bad").exists()


def test_a_reconciler_whose_thread_dies_ends_the_daemon_with_its_exception(start, runtime, host, tmp_path):
    def reconcile(*_: Any, **__: Any) -> None:
        raise Fatal("the end")

    running = start(node=None, host_root=host.tree.root, node_name="n")
    running.wait_ready()
    running.daemon.parts.reconciler.reconcile = reconcile
    run_pod(runtime)
    assert running.ended() is None
    assert isinstance(running.failure, Fatal)
    assert NodeLock(tmp_path / "state").try_acquire(), "whoever restarts it finds the lock free"


def test_a_bug_in_the_thread_that_hears_of_foreign_writes_ends_the_daemon_with_its_exception(start, runtime, host):
    """Covered files are rarely swept, so a daemon that went on would heal them a minute late."""

    def broken() -> None:
        raise ZeroDivisionError("a bug")

    running = start(node=None, host_root=host.tree.root, node_name="n")
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    drift = running.daemon.parts.reconciler.drift
    eventually(lambda: len(drift), "the pod's cgroup to be watched")
    drift._watches._watch._woken = broken

    def died() -> bool:
        host.set_quota(POD_CGROUP, 40_000)  # again and again: until the pod's own cgroup is watched, nobody hears of it
        return running.daemon.parts.ending.failure is not None

    eventually(died, "its end")
    assert running.ended() is None
    assert isinstance(running.failure, ZeroDivisionError)


def test_a_node_that_is_only_described_is_never_written_to(start, runtime, policy, host):
    """`simulate` describes nodes; the machine it runs on is not one of them."""
    running = start(host_root=host.tree.root, policy_file=policy)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    rewrite(policy, HALVED)
    running.wait_logged("policy_accepted", 2)
    assert create(runtime, "c2").quota.value == 25_000, "the policy counts for what is created"
    assert running.stop() == 0
    assert host.quotas() == ("50000", "50000")
    assert not running.daemon.parts.reconciler.stats.passes
