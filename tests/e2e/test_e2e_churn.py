"""A busy node whose policy keeps changing: nobody waits, nothing is lost, and in the end every container is as the last policy says.

Takes about 6 minutes on all containerds; in `make test-full` only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import pods
from tests.e2e.churn import FLIPS, Load, Policy
from tests.e2e.containerd import Containerd
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.support.waiting import eventually

# On a busy machine, this churn may take three times as long.
pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

NewDaemon = Callable[..., Daemon]

CHURN_S = 40
FAULT_S = 9
"""Churn before a fault, and again after it."""
FLIP_S = 0.2
SLOW_FLIP_S = 1.0
"""Long enough for what was written to be recorded too: koordnri waits until decisions have been at rest for 0.5 s."""
GRACE_S = 10
CALL_LIMIT_S = 5.0
"""No benchmark: a call that takes longer was waiting for a stop, or for a runtime that is frozen. A daemon that answers too late loses its
registration, or leaves a container unadjusted; the tests look for both."""
RECORD_S = 30.0
"""Policy at rest → every stored spec follows, on a runtime that is idle again."""
FOLLOW_S = 8.0
"""Policy changed → every container follows, on a busy machine; below the sweep's 10 s."""
LAST = Policy(ratio=4)
"""No flip has it, so nobody can have its values already."""
POPULATION = 6
"""Pods of each client that stay, of two containers."""


@pytest.fixture
def load(runtime: Containerd, kubelet: Kubelet, new_daemon: NewDaemon) -> Iterator[Load]:
    """The load on a daemon of its own, with its population, and not busy yet."""
    daemon = new_daemon(policy=FLIPS[0].text())
    daemon.start()
    with Load(runtime, daemon) as load:
        load.populate(POPULATION)
        yield load


def check_follows(load: Load, policy: Policy) -> None:
    """Every container and pod comes to what the policy says."""
    load.flip(policy)

    def equal() -> bool:
        differences = load.differences(policy)
        assert not differences, f"{len(differences)} differ: " + "\n".join(differences[:20])
        return True

    eventually(equal, "every cgroup file to hold the last policy's decision", FOLLOW_S)


def check_end(load: Load, *, pods_too: bool = True) -> None:
    """Nobody waited, who was created got an adjustment, and all follow: to a policy that is new, and back to kubelet's own."""
    for client in load.clients:
        client.settle()
    assert not load.slow(CALL_LIMIT_S)
    assert not load.unadjusted((*FLIPS, LAST))
    check_follows(load, LAST)
    check_follows(load, Policy())

    def ledger_agrees() -> bool:
        listed_pods, listed_containers = load.listed()
        assert load.daemon.metric("koordnri_containers") == listed_containers
        assert not pods_too or load.daemon.metric("koordnri_pods") == listed_pods
        return True

    eventually(ledger_agrees, "the ledger to hold the pods and containers that the runtime lists", FOLLOW_S)


def check_recorded(load: Load, kubelet: Kubelet) -> None:
    """Every container comes to what a policy says that is new, and the runtime's stored spec to what its files hold."""
    check_follows(load, LAST)

    def recorded() -> bool:
        if load.daemon.metric("koordnri_record_route_info", route="reply"):
            pods.plain(kubelet)  # where only replies record, somebody must come by
        return load.daemon.metric("koordnri_unrecorded_containers") == 0

    eventually(recorded, "everything to be recorded", RECORD_S)
    assert not load.unrecorded()


def check_events(load: Load) -> None:
    """The daemon was informed of everything that the clients did, and answered in time."""
    for event in ("RunPodSandbox", "CreateContainer", "RemoveContainer", "RemovePodSandbox"):
        assert load.daemon.metric("koordnri_events_total", event=event) == load.done(event)
        assert load.daemon.metric("koordnri_events_total", event=event, outcome="ok") == load.done(event)


@pytest.mark.parametrize(("before", "after"), [(Policy(), LAST), (LAST, Policy())], ids=["narrower", "wider"])
def test_a_container_that_is_created_before_a_policy_change_and_started_after_it_starts_and_follows(
    kubelet: Kubelet, new_daemon: NewDaemon, before: Policy, after: Policy
) -> None:
    daemon = new_daemon(policy=before.text())
    daemon.start()
    witness = pods.normalised(kubelet)
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, cpu_request_m=400, cpu_limit_m=800)
    container = kubelet.create_container(pod, cpu_request_m=400, cpu_limit_m=800)
    quota_us = 80_000 // after.ratio
    daemon.policy_file.write_text(after.text())
    eventually(lambda: kubelet.read(witness, "cpu.quota") == quota_us, "who runs already to follow")

    kubelet.start(container)

    eventually(lambda: kubelet.read(container, "cpu.quota") == quota_us, "the container to follow", FOLLOW_S)
    own = kubelet.cgroups.of(kubelet.pid(container))
    pod_directories = {controller: directory.parent for controller, directory in own.items()}
    pod_us = quota_us if kubelet.cgroups.version == 2 else 80_000  # v1's pods keep kubelet's: see the hook cfs_quota
    eventually(lambda: kubelet.cgroups.read(pod_directories, "cpu.quota") == pod_us, "the pod to follow", FOLLOW_S)
    # Nothing was left to the sweep.
    assert daemon.metric("koordnri_drift_healed_total") == 0


def test_churn_under_a_flipping_policy_delays_no_call_loses_no_event_and_ends_as_the_last_policy_says(
    load: Load,
) -> None:
    with load.busy(FLIP_S):
        load.wait(CHURN_S)
    check_end(load)
    check_events(load)
    # Else there was nothing to prove.
    assert load.done("CreateContainer") > CHURN_S / 3
    assert load.daemon.metric("koordnri_reconcile_passes_total", trigger="change") > CHURN_S / 3
    assert load.daemon.metric("koordnri_registrations_total") == 1
    assert load.daemon.metric("koordnri_drift_healed_total") == 0


def test_churn_with_the_daemon_killed_and_restarted_in_the_middle(load: Load) -> None:
    with load.busy(SLOW_FLIP_S):
        load.wait(FAULT_S)
        with load.away(load.daemon_away):
            load.daemon.restart()
        load.wait(FAULT_S)
    check_end(load)


def test_churn_with_the_runtime_killed_and_restarted_in_the_middle(load: Load, runtime: Containerd) -> None:
    with load.busy(SLOW_FLIP_S):
        load.wait(FAULT_S)
        with load.away(load.daemon_away):
            with load.away(load.runtime_away):
                runtime.restart()
            load.daemon.wait_registrations(2)
            load.daemon.wait_ready()
        load.wait(FAULT_S)
    # Of pods that are older than itself, a restarted containerd does not report that they are removed (containerd#8426).
    check_end(load, pods_too=False)


def test_policy_changes_during_a_graceful_stop_delay_nobodys_creation_and_are_recorded(
    load: Load, kubelet: Kubelet
) -> None:
    stubborn = kubelet.run_container(
        kubelet.run_pod(), command=["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    )
    stop = threading.Thread(target=kubelet.stop, args=(stubborn, GRACE_S))
    with load.busy(SLOW_FLIP_S):
        began = time.monotonic()
        stop.start()
        load.wait(GRACE_S)
        before = load.done("CreateContainer")
        recorded = load.daemon.metric("koordnri_pushes_total", outcome="recorded")
        stop.join()
        took_s = time.monotonic() - began
    assert took_s > GRACE_S - 1, "the stop was not graceful, so nothing was tested"
    assert before, "nothing was created while the stop went on"
    assert recorded, "nothing was recorded while the stop went on"
    check_recorded(load, kubelet)
    check_end(load)
    assert load.daemon.metric("koordnri_registrations_total") == 1
