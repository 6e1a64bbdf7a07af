"""What somebody else writes into a cgroup is undone when it happens, and not at the next sweep."""

from __future__ import annotations

import queue
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from koordnri.host.cgroup.watch import CgroupWatch
from tests.e2e import lab, pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, UNLIMITED
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from tests.e2e.containerd import Containerd

BATCH_US = pods.BATCH_QUOTA_US // 2
"""Of a batch container under the policy here."""
LS_MIN = (
    'resource-qos-config: {"clusterStrategy": {"lsClass": {"memoryQOS": {"enable": true, "minLimitPercent": 50}}}}\n'
)


@pytest.fixture(scope="module")
def daemon(runtime: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for all tests here, as in conftest.py, under a policy that has a say in pods and classes."""
    shared = Daemon(runtime.nri_socket, tmp_path_factory.mktemp("daemon"), policy=pods.RATIO_2 + LS_MIN)
    try:
        shared.start()
        yield shared
    finally:
        shared.stop()


def own(kubelet: Kubelet, container: Container, above: int = 0) -> dict[str, Path]:
    """The container's directories, or those so many levels above it."""
    found = kubelet.cgroups.of_container(kubelet.pid(container))
    for _ in range(above):
        found = {controller: directory.parent for controller, directory in found.items()}
    return found


def echo_quota(kubelet: Kubelet, directories: dict[str, Path], quota_us: int) -> None:
    """A person's hand on the file."""
    if kubelet.cgroups.version == 1:
        (directories["cpu"] / "cpu.cfs_quota_us").write_text(str(quota_us))
    else:
        (directories[""] / "cpu.max").write_text(f"{quota_us} 100000")


def wait_watched(kubelet: Kubelet, daemon: Daemon, container: Container, quota_us: int) -> None:
    """Until somebody else's quota has been undone: what happens from then on is seen when it happens."""
    directories = own(kubelet, container)
    eventually(lambda: kubelet.cgroups.read(directories, "cpu.quota") == quota_us, "the quota to be there")
    before = daemon.metric("koordnri_drift_healed_total")

    def undone() -> bool:
        """A pass that has another reason may do it too, which counts nothing."""
        if kubelet.cgroups.read(directories, "cpu.quota") == quota_us:
            echo_quota(kubelet, directories, 12_000)
        return daemon.metric("koordnri_drift_healed_total") > before

    eventually(undone, "the first foreign write to be undone")
    eventually(lambda: kubelet.cgroups.read(directories, "cpu.quota") == quota_us, "the quota to be back")


def test_the_kernel_reports_writes_into_cgroups_and_of_their_end(kubelet: Kubelet) -> None:
    root = next(r for r in kubelet.cgroups.roots() if kubelet.cgroups.version == 2 or r.name.startswith("cpu"))
    directory = root / f"koordnri-{uuid.uuid4()}"
    name = "cgroup.procs"  # every cgroup has it
    woken: queue.SimpleQueue[None] = queue.SimpleQueue()
    deaths: list[BaseException] = []
    watch = CgroupWatch({name}, lambda: woken.put(None), deaths.append)
    directory.mkdir()
    try:
        watch.add(str(root))
        assert watch.add(str(directory))
        sleeper = subprocess.Popen(["sleep", "60"])
        (directory / name).write_text(str(sleeper.pid))
        seen: set[tuple[str, str]] = set()
        while (str(directory), name) not in seen:
            woken.get(timeout=PATIENCE_S)
            seen |= watch.take().written
        sleeper.kill()
        sleeper.wait()
        eventually(lambda: not (directory / name).read_text(), "the cgroup to be empty")
        directory.rmdir()
        removed: set[str] = set()
        while str(directory) not in removed:
            woken.get(timeout=PATIENCE_S)
            removed |= watch.take().removed
    finally:
        watch.close()
        if directory.exists():
            directory.rmdir()
    assert not deaths


def test_a_persons_values_are_undone_one_after_the_other_without_a_sweep(kubelet: Kubelet, daemon: Daemon) -> None:
    container = pods.batch(kubelet)
    wait_watched(kubelet, daemon, container, BATCH_US)
    directories = own(kubelet, container)
    sweeps = daemon.metric("koordnri_reconcile_passes_total", trigger="sweep")
    for times in (1, 2, 3):
        # A last write of `wait_watched` may be undone, and counted, only now.
        healed = daemon.metric("koordnri_drift_healed_total", field="cpu.quota", by="unknown")
        echo_quota(kubelet, directories, 20_000 + times)

        def undone(healed: float = healed, times: int = times) -> bool:
            """What is healed is recorded again: the runtime then writes its stored quota, and may undo a write that nobody counts."""
            if kubelet.cgroups.read(directories, "cpu.quota") != BATCH_US:
                return False
            if daemon.metric("koordnri_drift_healed_total", field="cpu.quota", by="unknown") > healed:
                return True
            echo_quota(kubelet, directories, 20_000 + times)
            return False

        eventually(undone, "it to be undone and counted")
    assert daemon.metric("koordnri_reconcile_passes_total", trigger="sweep") - sweeps < 3


def test_what_kubelet_sets_of_an_owners_pod_again_is_undone_and_counted_as_its(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    """Under systemd: set-property, by which the unit has all its values again."""
    pod, container = pods.owner(kubelet)
    directories, by = own(kubelet, container, above=1), "systemd" if lab.SYSTEMD else "kubelet"
    eventually(lambda: kubelet.cgroups.read(directories, "cpu.quota") == UNLIMITED, "the pod's quota to be lifted")
    for times in (1, 2):
        healed = daemon.metric("koordnri_drift_healed_total", field="cpu.quota", by=by)
        kubelet.resize_pod(pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB)
        eventually(
            lambda healed=healed: daemon.metric("koordnri_drift_healed_total", field="cpu.quota", by=by) > healed,
            f"kubelet's quota to be undone, for the {times}. time",
        )
        eventually(lambda: kubelet.cgroups.read(directories, "cpu.quota") == UNLIMITED, "the quota to be lifted again")


def test_a_pod_that_kubelet_resizes_is_decided_again_and_nothing_is_undone(kubelet: Kubelet, daemon: Daemon) -> None:
    scale = kubelet.cgroups.version  # on v1, a pod's own quota stays as kubelet sets it
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_request_m=400, cpu_limit_m=800, memory_limit=64 * MIB)
    container = kubelet.run_container(pod, cpu_request_m=400, cpu_limit_m=800, memory_limit=64 * MIB)
    directories = own(kubelet, container, above=1)
    eventually(
        lambda: kubelet.cgroups.read(directories, "cpu.quota") == 80_000 // scale, "the pod's quota to be decided"
    )
    wait_watched(kubelet, daemon, container, 40_000)
    healed = daemon.metric("koordnri_drift_healed_total", field="cpu.quota")
    kubelet.resize_pod(pod, cpu_request_m=400, cpu_limit_m=1200, memory_limit=64 * MIB)
    eventually(
        lambda: kubelet.cgroups.read(directories, "cpu.quota") == 120_000 // scale, "the new quota to be decided by"
    )
    assert daemon.metric("koordnri_drift_healed_total", field="cpu.quota") == healed
