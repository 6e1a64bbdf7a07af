"""A shortage of memory lowers memory.high of best-effort work, and a noisy neighbour is named: on real cgroups, by the real sampler."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
USED_MIB = 56
"""In /dev/shm, which has 64, and once more in a file"""
SPINS = ("/bin/sh", "-c", "while :; do :; done")
WORKS_AND_SLEEPS = ("/bin/sh", "-c", "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.02; done")
"""Some 50 ms of work at a time, so that it waits whenever somebody else has its CPU."""


def controllers(**options: object) -> str:
    return f"koordnri-config: {json.dumps({'clusterStrategy': {'controllers': options}})}\n"


ALWAYS_SHORT = controllers(
    memoryHigh={"mode": "enforce", "availablePercent": 100, "pressurePercent": 0, "stallPercent": 100}
)
REPORT = controllers(noisyNeighbour="report", waitTargets={"ls": 2})


def high(kubelet: Kubelet, container: Container) -> int | None:
    """memory.high in bytes; None for none."""
    text = kubelet.file(container, "memory.high")
    return int(text) if text is not None and text.isdecimal() else None


def test_memory_high_goes_down_while_memory_is_short_and_comes_back_after_a_crash(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon()
    daemon.start()
    job = kubelet.run_container(kubelet.run_pod(qos="BestEffort", labels={pods.QOS_CLASS: "BE"}))
    service = kubelet.run_container(kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}))
    for container, file in ((job, "/dev/shm/held"), (job, "/held"), (service, "/held")):
        kubelet.exec(container, "dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={USED_MIB}")
    daemon.policy_file.write_text(ALWAYS_SHORT)
    if kubelet.cgroups.version == 1:
        # There is no memory.high, and nothing that fails.
        eventually(lambda: daemon.metric("koordnri_controller_ticks_total") >= 2, "the daemon to measure")
        assert kubelet.file(job, "memory.high") is None
        assert daemon.metric("koordnri_apply_failures_total", field="memory.high") == 0
        return
    eventually(lambda: high(kubelet, job) is not None, "a ceiling of what the job uses")
    first = high(kubelet, job) or 0
    assert USED_MIB * MIB < first < 4 * USED_MIB * MIB
    eventually(lambda: (high(kubelet, job) or first) < first, "a lower ceiling")
    assert high(kubelet, service) is None
    assert kubelet.running(job)

    daemon.kill()
    assert high(kubelet, job) is not None, "who kills the daemon changes no container"
    daemon.policy_file.write_text("{}\n")
    daemon.start()
    eventually(lambda: high(kubelet, job) is None, "the next start to give memory.high back")


def test_a_noisy_neighbour_is_named(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=REPORT)
    daemon.start()
    victim = kubelet.run_container(
        kubelet.run_pod("victim", labels={pods.QOS_CLASS: "LS"}), command=WORKS_AND_SLEEPS, cpu_request_m=900
    )
    hog = kubelet.run_container(kubelet.run_pod("hog", labels={pods.QOS_CLASS: "BE"}), command=SPINS, cpu_request_m=100)
    for container in (victim, hog):
        kubelet.rewrite_cpuset(container, "0")

    def named() -> bool:
        return daemon.metric("koordnri_noisy_neighbour_total", resource="cpu", kind="neighbour") >= 1

    eventually(named, "the neighbour to be found", 60)
    [line] = [text for text in daemon.log.read_text().splitlines() if "pod_waits" in text and "neighbour" in text][:1]
    assert "default/victim" in line
    assert "default/hog" in line
