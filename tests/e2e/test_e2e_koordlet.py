"""Lifted quotas, OOM scores, sysctls, interrupts and the file of exclusive CPUs on a real kernel: one daemon, one policy, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from koordnri.host.interrupts import InterruptFiles
from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, UNLIMITED
from tests.support.waiting import eventually

SCALE = Path("/proc/sys/vm/watermark_scale_factor")
SCORE = 1000
"""Higher than kubelet's: a machine whose root lacks CAP_SYS_RESOURCE refuses lower ones."""
LIMIT_US = 50_000
WRITES = ("--write", "processes", "--write", "sysctls", "--write", "interrupts")
FILE = "/run/koordnri/exclusive-cpus"


def policy(scale: int) -> str:
    return (
        f"koordnri-config: {{hooks: {{cfs_quota: {{liftFor: [LS]}}, memory: {{oomScoreAdj: {{ls: {SCORE}}}}}, "
        f"cpuset: {{expose: file, keepInterruptsOff: true}}}}}}\n"
        f'system-config: {{"clusterStrategy": {{"watermarkScaleFactor": {scale}}}}}\n'
    )


def interrupts() -> dict[int, CPUSet]:
    return InterruptFiles(Path("/")).all()


def movable() -> set[int]:
    """Interrupts whose CPUs the kernel lets us choose, tried by writing those that they have."""
    found = set()
    for number, has in interrupts().items():
        with contextlib.suppress(OSError):
            InterruptFiles(Path("/")).set(number, has)
            found.add(number)
    return found


def score(kubelet: Kubelet, container: Container) -> int:
    return int(Path(f"/proc/{kubelet.pid(container)}/oom_score_adj").read_text())


def service(kubelet: Kubelet) -> Container:
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_limit_m=500, memory_limit=64 * MIB)
    return kubelet.run_container(pod, cpu_request_m=250, cpu_limit_m=500, memory_limit=64 * MIB)


def test_quotas_scores_and_sysctls_follow_the_policy_and_are_given_back(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon]
) -> None:
    before, served, may_move = int(SCALE.read_text()), interrupts(), movable()
    daemon = new_daemon(arguments=WRITES)
    daemon.start()
    running, plain = service(kubelet), pods.plain(kubelet)
    kubelets = score(kubelet, running)
    assert kubelet.read(running, "cpu.quota") == LIMIT_US

    daemon.policy_file.write_text(policy(before + 2))
    eventually(lambda: score(kubelet, running) == SCORE, "the running container's score")
    eventually(lambda: kubelet.read(running, "cpu.quota") == UNLIMITED, "the running container's quota lifted")
    eventually(lambda: int(SCALE.read_text()) == before + 2, f"{SCALE} by the policy")
    created = service(kubelet)
    assert (score(kubelet, created), kubelet.read(created, "cpu.quota")) == (SCORE, UNLIMITED)
    assert kubelet.read(plain, "cpu.quota") == LIMIT_US, "a pod without the label is of no class here"

    pinned = pods.wants_a_cpu(kubelet)
    cpus = CPUSet.parse(str(kubelet.read(pinned, "cpu.cpus")))
    assert CPUSet.parse(kubelet.exec(pinned, "cat", FILE).strip()) == cpus
    eventually(lambda: not any(interrupts()[n] & cpus for n in may_move), "no interrupt on the exclusive CPUs")

    daemon.policy_file.write_text("{}\n")
    for container in (running, created):
        eventually(lambda c=container: score(kubelet, c) == kubelets, "kubelet's score")  # type: ignore[misc]
        eventually(lambda c=container: kubelet.read(c, "cpu.quota") == LIMIT_US, "kubelet's quota")  # type: ignore[misc]
    eventually(lambda: int(SCALE.read_text()) == before, f"{SCALE} given back")
    eventually(
        lambda: {n: interrupts()[n] for n in may_move} == {n: served[n] for n in may_move}, "interrupts as before"
    )
    for field in ("oom_score_adj", "cpu.quota", "vm.watermark_scale_factor"):
        assert daemon.metric("koordnri_apply_failures_total", field=field) == 0
