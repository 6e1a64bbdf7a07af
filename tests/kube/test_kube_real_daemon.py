"""`koordnri run` between a real API server and a real containerd: an edit of the ConfigMap reaches the files of running containers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import lab
from tests.e2e.daemon import Daemon
from tests.e2e.lab import eventually
from tests.kube.control_plane import DAEMON, ControlPlane, Deployed

if TYPE_CHECKING:
    from tests.e2e.kubelet import Container, Kubelet

pytestmark = [pytest.mark.e2e, pytest.mark.full]

NODE = "lab"
"""as Daemon calls it"""
KEY = "cpu-normalization-config"
RATIO_2, RATIO_4 = ({KEY: f'{{"enable": true, "defaultRatio": {ratio}}}'} for ratio in (2, 4))
BAD = {KEY: '{"enable": true, "defaultRatio": "fast"}'}
ASKED_US, HALVED_US, QUARTERED_US = 80_000, 40_000, 20_000


class FollowingDaemon(Daemon):
    """A daemon that has its policy from the ConfigMap instead of a file."""

    def __init__(self, nri_socket: Path, work: Path, configmap: tuple[str, str], kubeconfig: Path) -> None:
        arguments = ["--policy-configmap", "/".join(configmap), "--kubeconfig", str(kubeconfig)]
        super().__init__(nri_socket, work, arguments=arguments)
        at = self._command.index("--policy-file")
        del self._command[at : at + 2]


@pytest.fixture(scope="module")
def kubelet() -> Iterator[Kubelet]:
    """Of the newest containerd."""
    runtime = lab.RUNTIMES[-1]
    reason = lab.lacks(runtime)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    # Here, for they need grpcio and the laboratory's CRI messages.
    from tests.e2e.containerd import Containerd
    from tests.e2e.kubelet import Kubelet, sweep_cgroups

    # The end-to-end tests' prefix and file: they clean up after a run that was killed.
    work = Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp"))
    (work / "owner").write_text(str(os.getpid()))
    containerd = Containerd(runtime, work)
    own = Kubelet(containerd)
    try:
        containerd.start()
        yield own
    finally:
        own.cleanup()
        containerd.stop()
        sweep_cgroups(work)
        shutil.rmtree(work)


@pytest.fixture
def daemon(plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, tmp_path: Path) -> Iterator[Daemon]:
    """Ready, with an empty policy and with no more rights than deploy/ gives."""
    plane.create("/api/v1/nodes", {"metadata": {"name": NODE}})
    deployed.write_policy({})
    kubeconfig = plane.kubeconfig(tmp_path, DAEMON)
    it = FollowingDaemon(kubelet.runtime.nri_socket, tmp_path, deployed.policy, kubeconfig)
    try:
        it.start()
        yield it
    finally:
        it.stop()
        plane.delete(f"/api/v1/nodes/{NODE}")
        print(f"--- end of {it.log}\n{it.log_tail()}")


def has_quota(kubelet: Kubelet, container: Container, quota_us: int, timeout_s: float = 30.0) -> None:
    eventually(lambda: kubelet.read(container, "cpu.quota") == quota_us, f"cpu.quota to be {quota_us}", timeout_s)


def node_events(plane: ControlPlane) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = plane.call("GET", "/api/v1/namespaces/default/events")["items"]
    return [event for event in items if event["involvedObject"]["name"] == NODE]


def test_an_edit_of_the_configmap_reaches_a_running_container_and_a_bad_one_does_not(
    plane: ControlPlane, deployed: Deployed, kubelet: Kubelet, daemon: Daemon
) -> None:
    from tests.e2e import pods

    container = pods.normalised(kubelet)
    assert kubelet.read(container, "cpu.quota") == ASKED_US

    deployed.write_policy(RATIO_2)
    has_quota(kubelet, container, HALVED_US)

    deployed.write_policy(BAD)
    event = eventually(lambda: node_events(plane), "an Event on the Node")[0]
    assert (event["type"], event["reason"]) == ("Warning", "PolicyRefused")
    assert f"ConfigMap {'/'.join(deployed.policy)}: {KEY}.defaultRatio: " in event["message"]
    assert not daemon.ready()
    assert kubelet.read(container, "cpu.quota") == HALVED_US
    # The bad one does not touch what is created under it either.
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == HALVED_US

    deployed.write_policy(RATIO_4)
    has_quota(kubelet, container, QUARTERED_US)
    daemon.wait_ready()

    plane.restart()
    assert kubelet.read(container, "cpu.quota") == QUARTERED_US
    deployed.write_policy({})
    # A server that starts refuses connections, then everybody (its roles are not loaded yet), then versions that are older than
    # itself: the watch waits longer after each.
    has_quota(kubelet, container, ASKED_US, timeout_s=120)
