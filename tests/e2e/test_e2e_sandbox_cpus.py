"""The CPUs of a pod's pause container: its pod's, or what is shared; back to what the runtime gave it when its pod is given back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet, Pod
from tests.e2e.pods import PINNED_CPUS, QOS_CLASS, RESOURCE_STATUS
from tests.e2e.test_e2e_diff import koordnri
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
ALL = CPUSet(os.sched_getaffinity(0))
EVERYBODYS = (CPUSet(), ALL)
"""On v2, who has none of his own has those of the cgroup above."""


def cpus(kubelet: Kubelet, pod: Pod) -> str:
    return str(kubelet.cgroups.read(kubelet.sandbox(pod), "cpu.cpus"))


def pinned_pod(kubelet: Kubelet) -> Pod:
    """An LSR pod of which the scheduler has spoken, without a container yet."""
    status = json.dumps({"cpuset": PINNED_CPUS})
    return kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: "LSR"}, annotations={RESOURCE_STATUS: status})


def test_a_pinned_pods_is_on_its_cpus_and_gets_back_what_it_had(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    early = pinned_pod(kubelet)
    asked = cpus(kubelet, early)  # nobody but the runtime has set this
    assert CPUSet.parse(asked) in EVERYBODYS
    daemon = new_daemon()
    daemon.start()
    late = pinned_pod(kubelet)
    for pod in (early, late):
        eventually(lambda p=pod: cpus(kubelet, p) == PINNED_CPUS, "the sandbox to be on its pod's CPUs")  # type: ignore[misc]  # mypy knows no defaults of lambdas

    daemon.kill()
    daemon.start()
    for pod in (early, late):
        released = koordnri(daemon, "release", "--pod", f"default/{pod.name}", "-o", "json")
        assert (released.returncode, released.stderr) == (0, "")
        rows = {(r["container"], r["field"]): r for r in json.loads(released.stdout)["released"]}
        row = rows[None, "cpu.cpus"]
        assert (row["before"], row["status"]) == (PINNED_CPUS, "written")
        assert CPUSet.parse(row["after"]) == CPUSet.parse(cpus(kubelet, pod)) == ALL  # v2 takes no empty one back


@pytest.mark.usefixtures("own_daemon")
def test_others_share_what_is_left_beside_exclusive_cpus_and_come_back(kubelet: Kubelet) -> None:
    before = pods.plain(kubelet).pod
    eventually(lambda: CPUSet.parse(cpus(kubelet, before)) in EVERYBODYS, "the sandbox to share all CPUs")

    owner = pods.wants_a_cpu(kubelet)
    own = CPUSet.parse(str(kubelet.read(owner, "cpu.cpus")))

    after = pods.plain(kubelet).pod
    for pod in (before, owner.pod, after):
        eventually(lambda p=pod: CPUSet.parse(cpus(kubelet, p)) == ALL - own, "the sandbox to have left the CPU")  # type: ignore[misc]  # as above
    kubelet.end_pod(owner.pod)
    for pod in (before, after):
        eventually(lambda p=pod: CPUSet.parse(cpus(kubelet, p)) in EVERYBODYS, "the CPU to be everybody's again")  # type: ignore[misc]  # as above
