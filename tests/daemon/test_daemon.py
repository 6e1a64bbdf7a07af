"""The daemon as a whole, against the embedded runtime over a real socket: readiness, policies, state, and how it ends."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.model import NodeState
from koordnri.model.annotations import BATCH_CPU, BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, RESOURCE_STATUS
from koordnri.model.topology import Topology
from koordnri.runtime import CRIError, Kernel, Runtime
from koordnri.session.identity import Identity
from koordnri.session.runtime_info import MOST_BYTES
from koordnri.state.lock import NodeLock
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.host.trees import CPU_FILES, CPUSET_FILES, MEMORY_FILES, HostTree
from tests.session.scripted_runtime import Link
from tests.support import messages
from tests.support.waiting import PATIENCE_S, eventually

NODE = NodeState(name="n", topology=Topology.regular(1, 1, 8, 1))
PINNED = {RESOURCE_STATUS.key: '{"cpuset": "2-3"}'}
MIN_LIMIT = "resource-qos-config: {clusterStrategy: {beClass: {memoryQOS: {minLimitPercent: %s}}}}\n"
GOOD, BETTER, BAD = MIN_LIMIT % 20, MIN_LIMIT % 30, MIN_LIMIT % 250
MISTAKE = "resource-qos-config.beClass.memoryQOS.minLimitPercent: expected 0..100, got 250"


class Running:
    """A daemon that runs in a thread, and what it says."""

    def __init__(self, directory: Path, **more: Any) -> None:
        options = {key: more.pop(key) for key in ("hooks", "specs", "listener") if key in more}
        node = more.pop("node", NODE)
        config = {
            "nri_socket": str(directory / "nri.sock"),
            "state_dir": directory / "state",
            "listen": ("127.0.0.1", 0),
        }
        self._log = directory / "log"
        self._fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.daemon = Daemon(Config(**{**config, **more}), Given(node, **options), log_fd=self._fd)
        self.code: int | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if self.daemon.config.listen is not None:
            eventually(lambda: self.daemon.port, "a port")

    def _run(self) -> None:
        try:
            self.code = self.daemon.run()
        except BaseException as error:  # noqa: BLE001  # asked for by the test
            self.failure = error

    def readiness(self) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.port}/readyz", timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def wait_ready(self) -> None:
        eventually(lambda: self.readiness() == (200, "ok\n"), "ready")

    def wait_not_ready(self, *words: str) -> str:
        return self._wait_readiness(503, words)

    def wait_warned(self, *words: str) -> str:
        """Ready, with a warning."""
        return self._wait_readiness(200, ("warning:", *words))

    def _wait_readiness(self, wanted: int, words: tuple[str, ...]) -> str:
        last = (0, "")

        def told() -> str:
            nonlocal last
            last = code, text = self.readiness()
            return text if code == wanted and all(word in text for word in words) else ""

        try:
            return str(eventually(told, f"status {wanted}"))
        except AssertionError as error:
            raise AssertionError(f"{error}, because {words}; it says {last}") from None

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Lines of this event so far."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def wait_logged(self, event: str, count: int = 1) -> dict[str, Any]:
        lines = eventually(lambda: len(found := self.logged(event)) >= count and found, f"{count} lines {event}")
        return dict(lines[count - 1])

    def ended(self) -> int | None:
        """Waits for its end, of itself; the exit code."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "it does not end"
        return self.code

    def stop(self) -> int | None:
        """Stops it; the exit code."""
        self.daemon.stop()
        return self.ended()

    def close(self) -> None:
        self.stop()
        os.close(self._fd)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts daemons in one directory; stops them, and takes back what `run` sets for the whole process."""
    interval, running = sys.getswitchinterval(), []

    def start(**config: Any) -> Running:
        running.append(Running(tmp_path, **config))
        return running[-1]

    yield start
    for daemon in running:
        daemon.close()
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(tmp_path / "nri.sock") as runtime:
        yield runtime


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD)
    return path


def rewrite(path: Path, text: str) -> None:
    """As an editor or kubelet does: the new file takes the old one's place at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def run_pod(runtime: Runtime, annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> None:
    parent = "/kubepods/burstable/poduid-1"
    runtime.run_pod_sandbox(
        messages.pod("p1", parent=parent, name="web", uid="uid-1", annotations=annotations, labels=labels)
    )


def create(runtime: Runtime, container_id: str = "c1", quota: int = 50_000) -> api.LinuxCPU:
    """A container with a limit of half a CPU; its CPU as it runs."""
    container = messages.container(container_id, name="main")
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = 512, quota, 100_000
    return runtime.create_container("p1", container).spec.linux.resources.cpu


# -- readiness --------------------------------------------------------------------------------------------------------


def test_it_is_ready_once_registered_and_synchronized_and_decides_with_the_installed_hooks(start, runtime):
    running = start()
    running.wait_ready()
    run_pod(runtime, PINNED)
    cpu = create(runtime)
    assert (cpu.cpus, cpu.quota.value) == ("2-3", -1)
    assert runtime.plugins[0].full_name == "10-koordnri"
    assert running.stop() == 0
    assert running.wait_logged("started")["hooks"] == ["cpuset", "cfs_quota", "memory", "rdt", "blkio", "gpu"]


def test_it_waits_for_a_runtime_that_is_not_there_and_says_so(start, tmp_path):
    running = start()
    running.wait_not_ready("not ready: runtime: cannot connect to", str(tmp_path / "nri.sock"), "No such file")
    assert running.daemon.parts.session.state == "disconnected"
    with Runtime(tmp_path / "nri.sock") as runtime:
        running.wait_ready()
        assert runtime.registrations == 1
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


def test_only_one_of_a_node_registers_and_the_other_takes_over(start, runtime):
    first, second = start(), start()
    first.wait_ready()
    text = second.wait_not_ready("another koordnri holds", "koordnri.lock")
    assert "stop it" in text
    assert [p.full_name for p in runtime.plugins] == ["10-koordnri"]
    assert first.stop() == 0
    second.wait_ready()
    assert runtime.registrations == 2


def test_a_lock_of_an_earlier_process_does_not_count(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "koordnri.lock").write_text("4194304\n")
    start().wait_ready()


def test_cri_o_over_crun_takes_what_lifts_a_limit(start, tmp_path, policy):
    """CRI-O fails kubelet's update over a memory limit of -1, and crun passes over a quota of -1 without its period."""
    kernel = Kernel(crun=True)
    crio = Runtime(tmp_path / "nri.sock", Version(0, 11, 0), "cri-o", "1.36.3", kernel=kernel)
    limits = {"limits": {BATCH_CPU: 250, BATCH_MEMORY: 96 << 20}}
    batch = {EXTENDED_RESOURCE_SPEC.key: json.dumps({"containers": {"main": limits}})}
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


def test_a_bad_policy_at_start_costs_readiness_only_and_is_taken_as_soon_as_it_is_good(start, runtime, policy):
    policy.write_text(BAD)
    running = start(policy_file=policy)
    text = running.wait_not_ready("policy:", MISTAKE)
    assert "revision" in text
    runtime.wait_for_plugin()
    run_pod(runtime, PINNED)
    assert create(runtime).cpus == "2-3", "it runs on the defaults"
    rewrite(policy, GOOD)
    running.wait_ready()
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 20
    assert running.daemon.parts.standing.refusals == 1


def test_a_bad_policy_later_leaves_the_last_good_one_in_force(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    before = running.daemon.parts.handler.snapshot
    rewrite(policy, BAD)
    running.wait_warned("policy:", MISTAKE, f"revision {before.policy.revision} stays in force")
    assert running.daemon.parts.handler.snapshot.policy == before.policy
    assert running.wait_logged("policy_refused")["mistakes"][0].startswith(MISTAKE)
    rewrite(policy, BETTER)
    running.wait_ready()
    after = running.daemon.parts.handler.snapshot.policy
    assert after.qos.be.memory.min_limit_percent == 30
    assert after.revision != before.policy.revision
    assert running.wait_logged("policy_accepted", 2)["revision"] == after.revision


def test_a_policy_file_that_is_not_there_yet_is_a_bad_one(start, runtime, policy):
    policy.unlink()
    running = start(policy_file=policy)
    running.wait_not_ready("policy:", str(policy), "No such file")
    policy.write_text(GOOD)
    running.wait_ready()


def test_a_policy_file_that_goes_leaves_the_last_good_one_in_force(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    policy.unlink()
    running.wait_warned("policy:", "No such file")
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 20


def test_a_mounted_configmap_is_followed_through_its_links(start, runtime, tmp_path):
    """kubelet swaps the link ..data; the visible names never change."""
    mount = tmp_path / "mount"

    def publish(generation: str, percent: int) -> None:
        directory = mount / generation
        directory.mkdir(parents=True)
        strategy = {"clusterStrategy": {"beClass": {"memoryQOS": {"minLimitPercent": percent}}}}
        (directory / "resource-qos-config").write_text(json.dumps(strategy))
        (mount / "..new").symlink_to(generation)
        (mount / "..new").replace(mount / "..data")

    publish("..2026_01", 20)
    (mount / "resource-qos-config").symlink_to("..data/resource-qos-config")
    running = start(policy_file=mount)
    running.wait_ready()

    def in_force() -> int | None:
        return running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent

    assert in_force() == 20
    publish("..2026_02", 30)
    eventually(lambda: in_force() == 30, "the new policy")


def test_a_file_that_is_edited_in_place_in_a_directory_is_noticed(start, runtime, tmp_path):
    directory = tmp_path / "policy"
    directory.mkdir()
    config = directory / "koordnri-config"
    config.write_text("chainBudgetMilliseconds: 100")
    running = start(policy_file=directory)
    running.wait_ready()
    config.write_text("chainBudgetMilliseconds: 1000")
    eventually(lambda: running.daemon.parts.handler.snapshot.policy.chain_budget_s == 1.0, "the new policy")


def test_a_node_strategy_counts_where_it_matches(start, runtime, policy):
    strategy = {"name": "special", "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "n"}}}
    strategy["beClass"] = {"memoryQOS": {"minLimitPercent": 77}}
    policy.write_text(json.dumps({"resource-qos-config": {"nodeStrategies": [strategy]}}))
    running = start(policy_file=policy)
    running.wait_ready()
    assert running.daemon.parts.handler.snapshot.policy.qos.be.memory.min_limit_percent == 77


def test_a_policy_change_reaches_the_next_container(start, runtime, policy):
    running = start(policy_file=policy)
    running.wait_ready()
    run_pod(runtime, PINNED)
    assert create(runtime, "c1").cpus == "2-3"
    revision = running.daemon.parts.handler.snapshot.policy.revision
    rewrite(policy, "koordnri-config: {hooks: {cpuset: {mode: 'off'}}}\n")
    eventually(lambda: running.daemon.parts.handler.snapshot.policy.revision != revision, "the new policy")
    assert create(runtime, "c2").cpus == ""


# -- node -------------------------------------------------------------------------------------------------------------


def test_cpus_that_go_offline_are_noticed(start, runtime, tmp_path):
    tree = HostTree(tmp_path / "host").cpus(Topology.regular(1, 1, 4, 1))
    running = start(node=None, host_root=tree.root, node_name="n")
    running.wait_ready()
    assert running.logged("node_fact_missing"), "of a tree that has CPUs only"
    tree.write("sys/devices/system/cpu/online", "0-2\n")

    def online() -> str:
        topology = running.daemon.parts.handler.snapshot.node.topology
        return "" if topology is None else str(topology.online)

    eventually(lambda: online() == "0-2", "three CPUs")
    run_pod(runtime, {RESOURCE_STATUS.key: '{"cpuset": "3"}'})
    assert create(runtime).cpus == "", "the runtime would refuse the container"
    assert running.wait_logged("node_changed")
    assert "3 names no CPU that the node has online" in running.wait_logged("hook_failed")["error"]


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


def test_a_broken_state_file_is_told_and_does_not_keep_it_from_starting(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "notes.json").write_bytes(b"\xff{")
    running = start()
    running.wait_ready()
    assert "notes.json.bad" in running.wait_logged("state_file_bad")["error"]


def test_a_state_that_cannot_be_saved_is_told_and_saved_once_it_can(start, runtime, tmp_path):
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


FILES = ("notes.json", "originals.json", "resctrl.json", "koordnri.lock", "koordnri.sock", "notes.json.new")


def mounted(*options: str) -> Path:
    """Not below pytest's own directories: a mount that a killed run leaves there would fail the next ones' tidying."""
    path = Path(tempfile.mkdtemp(prefix="koordnri-state-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "koordnri-test", path], capture_output=True)
    if done.returncode:
        path.rmdir()
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode()}")
    return path


@pytest.mark.parametrize("state", ["read-only", "full", "not a directory", "fifos"])
def test_whatever_the_state_directory_is_the_daemon_decides_and_warns(start, runtime, tmp_path, state):
    directory, expected, unmount = tmp_path / "state", "state: kept in memory only", False
    if state == "not a directory":
        directory.touch()
    elif state == "fifos":
        directory.mkdir()
        for name in FILES:
            os.mkfifo(directory / name)
    else:
        directory, unmount = mounted("ro" if state == "read-only" else "size=4k"), True
    try:
        if state == "full":
            with contextlib.suppress(OSError), open(directory / "filler", "wb") as filler:
                filler.write(bytes(1 << 20))
        running = start(state_dir=directory)
        text = eventually(lambda: (found := running.readiness())[0] == 200 and found[1], "ready")
        if state == "fifos":
            assert text == "ok\n", "its own files have taken their places"
        else:
            assert text.startswith(f"ok\nwarning: {expected}, and lost by a restart: ")
        run_pod(runtime)
        create(runtime)
        eventually(lambda: running.daemon.parts.ledger.container("c1"), "the container is known")
        assert running.stop() == 0
    finally:
        if unmount:
            subprocess.run(["umount", "--lazy", directory], check=True)
            directory.rmdir()


def test_a_state_directory_that_is_mended_is_used(start, runtime, tmp_path, monkeypatch):
    monkeypatch.setattr("koordnri.daemon.admission.RETRY_S", 0.01)
    (tmp_path / "state").touch()
    running = start()
    warned = eventually(lambda: (found := running.readiness())[0] == 200 and found[1], "warnings")
    assert [line.split(": ")[1] for line in warned.splitlines()[1:]] == ["state"] * 3
    assert "nothing keeps a second koordnri from registering" in warned
    assert "no control socket" in warned
    (tmp_path / "state").unlink()
    eventually(lambda: "in memory" not in running.readiness()[1], "the notes are on disk")
    eventually(lambda: running.readiness() == (200, "ok\n"), "no warning is left")
    assert (tmp_path / "state/koordnri.sock").is_socket(), "a control socket"
    assert not NodeLock(tmp_path / "state").try_acquire(), "and a lock"


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


def test_a_container_that_is_refused_is_told_why(start, runtime, policy):
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

POD_CGROUP = "kubepods/burstable/poduid-1"
CONTAINER_CGROUP = f"{POD_CGROUP}/c1"
HALVED = 'cpu-normalization-config: {"enable": true, "defaultRatio": 2.0}\n'
"""A policy by which this node's CPUs count double, so that quotas are halved."""


class FakeHost:
    """A fake host whose cgroups are plain files. The runtime is embedded and writes none, so the test starts with kubelet's values."""

    def __init__(self, root: Path) -> None:
        self.tree = HostTree(root).cpus(Topology.regular(1, 1, 4, 1))
        self.tree.cgroup_v2(cgroups={"kubepods": (*CPU_FILES, *CPUSET_FILES, *MEMORY_FILES)})
        for cgroup in (POD_CGROUP, CONTAINER_CGROUP):
            self.set_quota(cgroup, 50_000)
            self.tree.write(f"sys/fs/cgroup/{cgroup}/memory.max", "max\n")

    def set_quota(self, cgroup: str, quota_us: int) -> None:
        self.tree.write(f"sys/fs/cgroup/{cgroup}/cpu.max", f"{quota_us} 100000\n")

    def quotas(self) -> tuple[str, ...]:
        """cpu.max of pod and container."""
        files = (self.tree.root / f"sys/fs/cgroup/{c}/cpu.max" for c in (POD_CGROUP, CONTAINER_CGROUP))
        return tuple(file.read_text().split()[0] for file in files)

    def wait_quotas(self, *quotas: str) -> None:
        eventually(lambda: self.quotas() == quotas, f"quotas {quotas}, not {self.quotas()}")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "host")


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
    """The pass that is under way when it is told to stop is part of its life."""
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    run_pod(runtime)
    create(runtime)
    runtime.start_container("c1")
    requests, machine = running.daemon.parts.requests, running.daemon.parts.machine
    stopping, entered = threading.Event(), threading.Event()
    stop, world = requests.stop, machine.world

    def told_to_stop() -> None:
        stop()
        stopping.set()

    def held() -> Any:
        entered.set()
        assert stopping.wait(PATIENCE_S)
        return world()

    requests.stop, machine.world = told_to_stop, held
    requests.trigger("p1")
    assert entered.wait(PATIENCE_S)
    rewrite(policy, HALVED)
    running.wait_logged("policy_accepted", 2)
    assert running.stop() == 0
    assert host.quotas() == ("25000", "25000")
    assert json.loads((tmp_path / "state" / "originals.json").read_text()).keys() == {"p1", "c1"}


def test_a_note_of_what_was_written_that_cannot_be_read_is_told_and_kept_aside(start, runtime, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "originals.json").write_text('{"p1": 5}')
    running = start()
    running.wait_ready()
    assert "originals.json.bad" in running.wait_logged("state_file_bad")["error"]
    assert (tmp_path / "state" / "originals.json.bad").exists()


def test_a_bug_in_looking_at_the_node_or_the_policy_costs_that_look(start, runtime, policy, host, monkeypatch):
    monkeypatch.setattr("koordnri.daemon.daemon.NODE_TICK_S", 0.01)
    running = start(node=None, host_root=host.tree.root, node_name="n", policy_file=policy)
    running.wait_ready()
    look, look_at_policy = running.daemon.parts.present.scan, running.daemon.parts.sources.scan

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    running.daemon.parts.present.scan = running.daemon.parts.sources.scan = broken
    counts = running.daemon.parts.faults.counts
    eventually(lambda: counts["node"] > 1 and counts["policy"] > 1, "both are counted")
    running.daemon.parts.present.scan, running.daemon.parts.sources.scan = look, look_at_policy
    policy.write_text("koordnri-config: {hooks: {cpuset: {mode: off}}}\n")
    running.wait_logged("policy_accepted", 2)
    assert [line["where"] for line in running.logged("contained_fault")] == ["policy", "node"]


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


def test_a_bug_in_the_watch_of_the_policy_file_is_counted_and_the_file_is_polled(start, runtime, policy):
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    running = start(policy_file=policy)
    running.wait_ready()
    parts = running.daemon.parts
    parts.sources._watch._changed = broken
    rewrite(policy, BETTER)
    eventually(lambda: parts.faults.counts["policy"] == 1, "the bug")
    running.wait_logged("policy_accepted", 2)
    eventually(lambda: parts.sources.must_be_asked, "it to be polled")
    rewrite(policy, GOOD)
    running.wait_logged("policy_accepted", 3)


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
