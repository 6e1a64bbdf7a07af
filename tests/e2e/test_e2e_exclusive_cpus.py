"""Exclusive CPUs without a scheduler: given at creation, the others gone before the owner runs, and back when its pod goes."""

from __future__ import annotations

import os
from collections.abc import Callable

import grpc
import pytest

from koordnri.model import CPUSet
from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet
from tests.e2e.pods import MIB, QOS_CLASS, UNLIMITED
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
ALL = str(CPUSet(os.sched_getaffinity(0)))


def lsr(kubelet: Kubelet, **options: object) -> Container:
    """An LSR container of one CPU, of which no scheduler has assigned any."""
    pod = kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: "LSR"})
    return kubelet.run_container(pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB, **options)  # type: ignore[arg-type]  # passed on


def cpus(kubelet: Kubelet, container: Container) -> CPUSet:
    return CPUSet.parse(str(kubelet.read(container, "cpu.cpus")) or ALL)


@pytest.mark.usefixtures("own_daemon")
def test_an_lsr_container_gets_cpus_that_everybody_else_has_left_when_it_starts(kubelet: Kubelet) -> None:
    before = pods.plain(kubelet)

    owner = lsr(kubelet)

    # No waiting here: by the time StartContainer has returned, the others are gone.
    own, others = cpus(kubelet, owner), cpus(kubelet, before)
    assert len(list(own)) == 1
    assert not own & others
    assert own | others == CPUSet.parse(ALL)
    assert kubelet.read(owner, "cpu.quota") == UNLIMITED, "it would only be throttled on its own CPU"
    after = pods.plain(kubelet)
    assert cpus(kubelet, after) == others

    kubelet.end_pod(owner.pod)
    for other in (before, after):
        eventually(lambda c=other: cpus(kubelet, c) == CPUSet.parse(ALL), "the CPU to be everybody's again")  # type: ignore[misc]  # mypy knows no defaults of lambdas


def test_the_same_cpus_are_its_own_after_a_restart_with_nothing_but_its_annotation(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon()
    daemon.start()
    owner, other = lsr(kubelet), pods.plain(kubelet)
    own, others = cpus(kubelet, owner), cpus(kubelet, other)
    daemon.kill()
    for file in daemon.state_dir.iterdir():
        file.unlink()

    daemon.start()

    third = pods.plain(kubelet)
    assert (cpus(kubelet, owner), cpus(kubelet, other), cpus(kubelet, third)) == (own, others, others)


@pytest.mark.usefixtures("own_daemon")
def test_a_restarted_container_finds_its_cpus_again(kubelet: Kubelet) -> None:
    owner = lsr(kubelet)
    own = cpus(kubelet, owner)
    kubelet.remove(owner)
    again = kubelet.run_container(owner.pod, cpu_request_m=1000, cpu_limit_m=1000, memory_limit=64 * MIB)
    assert cpus(kubelet, again) == own


def test_when_all_are_taken_it_shares_or_is_refused_as_the_policy_says(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon()
    daemon.start()
    pod = kubelet.run_pod(qos="Guaranteed", labels={QOS_CLASS: "LSR"})
    many = 1000 * (len(CPUSet.parse(ALL)) + 1)
    shares = kubelet.run_container(pod, cpu_request_m=many, cpu_limit_m=many, memory_limit=64 * MIB)
    assert cpus(kubelet, shares) == CPUSet.parse(ALL)

    daemon.policy_file.write_text("koordnri-config: {hooks: {cpuset: {whenFull: reject}}}\n")
    eventually(lambda: daemon.metric("koordnri_policy_accepted_total") >= 2, "the policy to be taken")
    with pytest.raises(grpc.RpcError, match="exclusive CPUs"):
        kubelet.run_container(pod, "second", cpu_request_m=many, cpu_limit_m=many, memory_limit=64 * MIB)
