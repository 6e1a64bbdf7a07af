"""CPUs that kubelet's static CPU manager pins: nobody is put there, and nobody who is left to kubelet is moved.

The daemon is mounted as in the DaemonSet: kubelet's state file by itself, so that it never sees another one than that of its start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, QOS_CLASS
from tests.support.waiting import eventually

ALL = CPUSet(os.sched_getaffinity(0))
PINNED = CPUSet([max(ALL)])
SHARED = ALL - PINNED
"""kubelet's default set while PINNED are pinned"""

_MOUNTS = """set -e
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/kubelet
touch /var/lib/kubelet/cpu_manager_state
mount --bind -o ro "$0" /var/lib/kubelet/cpu_manager_state
exec "$@"
"""


class MountedDaemon(Daemon):
    """In a mount namespace of its own, where kubelet's directory has nothing but its state file."""

    def __init__(self, nri_socket: Path, work: Path) -> None:
        super().__init__(nri_socket, work)
        self.state_file = work / "cpu_manager_state"
        self._command = ["unshare", "--mount", "sh", "-c", _MOUNTS, str(self.state_file), *self._command]

    def kubelet_writes(self, **entries: CPUSet) -> None:
        """Replace the state file as kubelet does."""
        shared = ALL
        for cpus in entries.values():
            shared = shared - cpus
        new = self.state_file.with_suffix(".new")
        text = {name: {"main": str(cpus)} for name, cpus in entries.items()}
        new.write_text(json.dumps({"policyName": "static", "defaultCpuSet": str(shared), "entries": text}))
        new.rename(self.state_file)


@pytest.fixture
def mounted(runtime: Containerd, tmp_path: Path) -> Iterator[MountedDaemon]:
    own = MountedDaemon(runtime.nri_socket, tmp_path)
    own.kubelet_writes()
    try:
        own.start()
        yield own
    finally:
        own.stop()


def ls(kubelet: Kubelet, cpus: CPUSet) -> Container:
    """An LS container, which has its share pool of us."""
    pod = kubelet.run_pod(labels={QOS_CLASS: "LS"})
    return kubelet.run_container(pod, cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB, cpus=str(cpus))


def guaranteed(kubelet: Kubelet, cpus: CPUSet) -> Container:
    """A container that kubelet pins to as many CPUs as it asks for."""
    many, pod = 1000 * len(cpus), kubelet.run_pod(qos="Guaranteed")
    return kubelet.run_container(pod, cpu_request_m=many, cpu_limit_m=many, memory_limit=64 * MIB, cpus=str(cpus))


def cpus_of(kubelet: Kubelet, container: Container) -> CPUSet:
    return CPUSet.parse(str(kubelet.read(container, "cpu.cpus")))


def test_what_kubelet_pinned_after_our_start_is_never_anybody_elses(kubelet: Kubelet, mounted: MountedDaemon) -> None:
    before, shared = ls(kubelet, ALL), pods.plain(kubelet, cpus=str(ALL))
    assert cpus_of(kubelet, before) == ALL

    mounted.kubelet_writes(owner=PINNED)
    owner = guaranteed(kubelet, PINNED)

    # No waiting here: by the time StartContainer has returned, the others are gone.
    assert cpus_of(kubelet, owner) == PINNED
    assert cpus_of(kubelet, before) == SHARED
    assert cpus_of(kubelet, shared) == ALL, "kubelet's business, within its 10 s"
    after = ls(kubelet, ALL)
    assert cpus_of(kubelet, after) == SHARED, "computed before the owner was pinned"

    for _ in range(2):  # kubelet's rewrites: nothing flaps
        for container in (before, after, shared):
            kubelet.rewrite_cpuset(container, str(SHARED))
        kubelet.rewrite_cpuset(owner, str(PINNED))
        assert [cpus_of(kubelet, c) for c in (owner, before, after, shared)] == [PINNED, SHARED, SHARED, SHARED]

    # The file that is mounted now knows of nobody either.
    mounted.kill()
    mounted.kubelet_writes()
    mounted.start()
    mounted.kubelet_writes(owner=PINNED)
    late = ls(kubelet, ALL)
    assert [cpus_of(kubelet, c) for c in (owner, before, late, shared)] == [PINNED, SHARED, SHARED, SHARED]

    kubelet.end_pod(owner.pod)
    eventually(lambda: cpus_of(kubelet, late) == ALL, "the CPUs to be everybody's again")
    for container in (before, shared):
        assert cpus_of(kubelet, container) == SHARED, "kubelet's last word until it says otherwise"
        kubelet.rewrite_cpuset(container, str(ALL))
        assert cpus_of(kubelet, container) == ALL


def test_what_a_file_that_was_replaced_since_says_of_containers_is_forgotten(
    kubelet: Kubelet, mounted: MountedDaemon
) -> None:
    mounted.stop()
    mounted.kubelet_writes(gone=PINNED)
    mounted.start()
    container = ls(kubelet, ALL)
    assert cpus_of(kubelet, container) == SHARED

    mounted.kubelet_writes()

    eventually(lambda: cpus_of(kubelet, container) == ALL, "the file that is mounted to be out of date")
