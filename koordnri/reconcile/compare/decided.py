"""A pod and its containers under one policy."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.chain import Chain, ContainerRefused, Snapshot
from koordnri.cpus.creation import Creation
from koordnri.model import Container, Decision, Event, Pod
from koordnri.reconcile.compare.running import Running


class Decided(NamedTuple):
    """A pod under one policy."""

    own: Decision
    following: list[Decision]
    """of its containers as they run"""
    created: list[tuple[Decision, str]]
    """of its containers if they were created now, and why that would be refused"""
    anew: Decision
    """of the pod's own cgroup if it were created now"""


def decide(chain: Chain, running: Running, snapshot: Snapshot, anew: Creation) -> Decided:
    pod = running.pod
    return Decided(
        chain.decide_pod(pod, snapshot, running.containers),
        [chain.decide_container(pod, container, Event.SYNC, snapshot) for container in running.containers],
        [_create(chain, pod, container, anew) for container in running.containers],
        chain.decide_pod(pod, anew.snapshot, running.containers),
    )


def _create(chain: Chain, pod: Pod, container: Container, anew: Creation) -> tuple[Decision, str]:
    try:
        decision = chain.decide_container(pod, container, Event.CREATE, anew.snapshot)
    except ContainerRefused as refused:
        return refused.decision, str(refused)
    return decision, anew.refusal(pod, container.name)
